"""Rules held against live logs, and alerts that are delivered: ``sigma-pyeval monitor``.

A source (``sources``) reads lines and makes batches of records; detection holds the rules against each batch and writes its
alerts together with the source's checkpoint in one transaction of the store (``store``); for each sink (``sinks``) a
delivery sends what lies there for it. ``service.run`` alone starts and stops tasks; everything else is called by it.
"""
