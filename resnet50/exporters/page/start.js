// A plain script: it runs even where the browser refuses page.js, which is a module, and then says what to do.

const refuse = (text) => { document.getElementById("status").textContent = text; };

if (location.protocol === "file:") {
  refuse("A browser does not run this page from a file. Run python -m http.server 8000 in its folder, and open http://localhost:8000.");
} else {
  addEventListener("error", ({ target }) => {
    if (target.localName === "script") {
      refuse("A script of this page cannot be loaded. The server must have all files of the folder, and send .js and .mjs as text/javascript.");
    }
  }, true); // a script's error does not bubble
}
