"""What a Lambda function's archive holds beside detections.py and aws_lambda.py; its handler is ``function.handler``."""

from __future__ import annotations

from aws_lambda import handler_for
from detections import match

handler = handler_for(match, text_field="MESSAGE")
