"""A trained classifier answers over HTTP: the interface, its limits, its replicas and the server that runs them.

Nothing here trains, scores or prints. Only `server` and `deployment` know Ray; only `api` and `limits` know FastAPI.
"""
