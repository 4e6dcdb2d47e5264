"""A program that watches its own log: run as ``python examples/embed/log_alerts.py``."""

from __future__ import annotations

import logging

from sigma.pyeval import Match, parse_rules
from sigma.pyeval.log_handler import DetectionHandler

RULES = """
title: Many Rows Exported By One User
logsource: {product: python, service: shop}
detection:
    export:
        LOGGER: shop.export
        rows|gte: 10000
    condition: export
level: high
"""


def tell(match: Match, record: logging.LogRecord) -> None:
    print(f"{match.rule.level}: {match.rule.title}: {record.getMessage()}")


logging.getLogger("shop").addHandler(DetectionHandler(parse_rules(RULES), tell, level="INFO"))
logging.getLogger("shop").setLevel("INFO")

log = logging.getLogger("shop.export")
log.info("exported for %s", "alice", extra={"rows": 12})
log.info("exported for %s", "mallory", extra={"rows": 50_000})
