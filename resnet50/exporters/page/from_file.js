// a module, which the page's script is, does not run from a file
if (location.protocol === "file:") {
  document.getElementById("status").textContent =
    "A browser does not run this page from a file. Run in its folder: python -m http.server 8000 and open localhost:8000";
}
