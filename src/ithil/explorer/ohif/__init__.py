"""The OHIF viewer at `/ohif/`: how it gets onto this host, and how it is served.

The viewer is the published npm package, whose `dist` is a finished build; nothing is built here. `install`
fetches it once and makes it independent of the path it is served at (`rewrite`), `installation` is what lies on
disk then, `configuration` is what the server tells it of itself, and `routes` serves it.
"""
