"""A page to try a classifier: `answers` computes what it shows, `page` arranges it in Gradio, `launch` serves it."""
