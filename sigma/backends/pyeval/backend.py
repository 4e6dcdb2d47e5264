"""The backend: a rule's condition tree becomes one expression."""

from __future__ import annotations

import ast
from typing import Any, ClassVar

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.conversion.base import Backend, TextQueryBackend
from sigma.conversion.state import ConversionState
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaConfigurationError, SigmaError, SigmaPlaceholderError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule
from sigma.types import (
    CompareOperators,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNumber,
    SigmaQueryExpression,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
)

from sigma.pyeval.expression import REGEX_REMEDY, ExpressionError, parse_expression
from sigma.pyeval.layout import emit_expression
from sigma.pyeval.regex_safety import PatternRefusedError, classify
from sigma.pyeval.rules import Rule

from .correlation_rules import register_correlations
from .correlations import Callback, Correlations
from .errors import Unsupported, message_of, refusal
from .formats import ORIGIN, Formats, origin
from .modifiers import register_modifiers
from .nodes import Call, Join, Node, Not, all_of, any_of, negation
from .preparation import prepare_rule
from .strings import keyword_call, string_call

_FLAGS = {
    SigmaRegularExpressionFlag.IGNORECASE: "i",
    SigmaRegularExpressionFlag.MULTILINE: "m",
    SigmaRegularExpressionFlag.DOTALL: "s",
}
_COMPARE_MATCHERS = {
    CompareOperators.LT: ("lt", "<"),
    CompareOperators.LTE: ("lte", "<="),
    CompareOperators.GT: ("gt", ">"),
    CompareOperators.GTE: ("gte", ">="),
}
_REFERENCE_MATCHERS = {
    (False, False): "equals_field",
    (True, False): "startswith_field",
    (False, True): "endswith_field",
    (True, True): "contains_field",
}
register_modifiers()
register_correlations()


class PyEvalBackend(Correlations, Formats, TextQueryBackend):
    """Converts Sigma rules into Python expressions over ``event``.

    Args:
        processing_pipeline: Applied to each rule before it is converted.
        collect_errors: Collect refusals in ``errors`` instead of raising the first.
        scope: Whether the scope that a pipeline gives a rule becomes part of its expression; true or false, also as text.
        unsafe_regex: Whether every regular expression is searched for in the whole value, however long that takes; for rules
            that are trusted. Else those of polynomial time are bounded and those of exponential time refused.
    """

    name: ClassVar[str] = "Python expressions (pyeval)"
    identifier: ClassVar[str] = "pyeval"
    requires_pipeline: ClassVar[bool] = False
    # pySigma's own templates for groups are not used, but one of its checks asks for this one.
    group_expression: ClassVar[str] = "({expr})"

    def __init__(
        self,
        processing_pipeline: ProcessingPipeline | None = None,
        collect_errors: bool = False,
        scope: bool | int | str = True,
        unsafe_regex: bool | int | str = False,
    ) -> None:
        super().__init__(processing_pipeline, collect_errors)
        self._scope_option = scope
        self._unsafe_regex_option = unsafe_regex

    # -- rules ---------------------------------------------------------------------------------------------------------

    def init_processing_pipeline(self, output_format: str | None = None) -> None:
        """Check the backend's options, then set the pipeline up."""
        self.scope = _flag("scope", self._scope_option)
        self.unsafe_regex = _flag("unsafe_regex", self._unsafe_regex_option)
        super().init_processing_pipeline(output_format)

    def convert_rule(
        self, rule: SigmaRule, output_format: str | None = None, callback: Callback | None = None
    ) -> list[Any]:
        """Convert one rule; a list of conditions becomes one expression. Refusals are RuleRefused, or collected."""
        try:
            known = rule.custom_attributes.get(ORIGIN)  # of a rule that is converted again: what it was at first
            source_hash = prepare_rule(rule)
            rule.custom_attributes[ORIGIN] = known or origin(rule, source_hash)
            return self._convert_prepared(rule, output_format, callback)
        except SigmaError as error:
            self._refused.add(id(rule))
            refused = refusal(rule, error)
            if not self.collect_errors:
                raise refused from error
            self.errors.append((rule, refused))
            return []

    def convert_to_rules(self, rule: SigmaRule | SigmaCorrelationRule) -> list[Rule]:
        """Return *rule* converted to data for the runtime; raises RuleRefused."""
        if isinstance(rule, SigmaRule):
            return self.convert_rule(rule, "linked")
        return self.convert_correlation_rule(rule, "linked")

    def _convert_prepared(self, rule: SigmaRule, output_format: str | None, callback: Callback | None) -> list[Any]:
        collect_errors, self.collect_errors = self.collect_errors, False
        try:
            return super().convert_rule(rule, output_format, callback)
        except RecursionError as error:
            raise Unsupported("the condition is nested too deeply", "split the rule") from error
        except (NotImplementedError, TypeError) as error:
            raise Unsupported(f"a combination of modifiers or values that has no meaning ({error})", "") from error
        finally:
            self.collect_errors = collect_errors

    def finish_query(self, rule: SigmaRule | SigmaCorrelationRule, query: Any, state: ConversionState) -> str:
        """Return the verified source text of a converted condition, the rule's scope included; of a correlation its call."""
        if isinstance(rule, SigmaCorrelationRule):
            call: str = query
            return call
        text: str = query.emit()
        scope = self.rule_scope(state)
        if scope is not None:
            expression = f"({text})" if isinstance(query, Join) and not query.every else text
            text = f"{scope} and {expression}"
        try:
            parse_expression(text, unsafe_regex=self.unsafe_regex)
        except ExpressionError as error:
            raise Unsupported(str(error), "correct the value, or split the rule") from error
        return text

    def rule_scope(self, state: ConversionState) -> str | None:
        """Return the scope that the pipeline left in its state under the key ``scope``, ready to be joined by ``and``."""
        scope = state.processing_state.get("scope")
        if scope is None or not self.scope:
            return None
        try:
            tree = parse_expression(str(scope))
        except ExpressionError as error:
            raise Unsupported(f"the pipeline's scope: {error}", "correct the pipeline") from error
        # Written anew from its tree: nothing but calls and literals gets through, no comment that hides what follows.
        loose = isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.Or)
        return f"({emit_expression(tree)})" if loose else emit_expression(tree)

    # -- conditions ----------------------------------------------------------------------------------------------------

    def convert_condition(self, cond: Any, state: ConversionState) -> Any:
        """Convert a node of the condition tree to a node of the expression."""
        if cond is None:
            raise Unsupported("a part of the condition is empty", "name detections that exist and hold items")
        return super().convert_condition(cond, state)

    def convert_condition_or(self, cond: ConditionOR, state: ConversionState) -> Any:
        """``a or b``, lists on one field grouped."""
        return any_of(self.convert_condition(argument, state) for argument in cond.args)

    def convert_condition_and(self, cond: ConditionAND, state: ConversionState) -> Any:
        """``a and b``, ``|all`` lists on one field grouped."""
        return all_of(self.convert_condition(argument, state) for argument in cond.args)

    def convert_condition_not(self, cond: ConditionNOT, state: ConversionState) -> Any:
        """``not a``."""
        return negation(self.convert_condition(cond.args[0], state))

    def convert_condition_group(self, cond: Any, state: ConversionState) -> Any:
        """A group is its content: parentheses are written where the text needs them."""
        node: Node = self.convert_condition(cond, state)
        return node

    # -- values of a field ---------------------------------------------------------------------------------------------

    def convert_condition_field_eq_val(self, cond: ConditionFieldEqualsValueExpression, state: ConversionState) -> Any:
        """Convert ``field: value`` by the value's type, naming the field in whatever goes wrong."""
        try:
            # Past TextQueryBackend, which would look for a "not" above each value that no template here asks about.
            return Backend.convert_condition_field_eq_val(self, cond, state)
        except Unsupported:
            raise
        except SigmaPlaceholderError as error:
            raise Unsupported(message_of(error), _PLACEHOLDER_REMEDY, cond.field) from error
        except (SigmaError, NotImplementedError, TypeError) as error:
            raise Unsupported(message_of(error), "", cond.field) from error

    def convert_condition_field_eq_expansion(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        """Several forms of one value (``windash``, ``base64offset``): any of them."""
        assert isinstance(cond.value, SigmaExpansion)  # noqa: S101
        return any_of(
            self.convert_condition(ConditionFieldEqualsValueExpression(cond.field, value), state)
            for value in cond.value.values
        )

    def convert_condition_field_eq_val_str(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        """Text with or without wildcards."""
        assert isinstance(cond.value, SigmaString)  # noqa: S101
        return string_call(cond.field, cond.value)

    def convert_condition_field_eq_val_str_case_sensitive(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        """``cased`` text."""
        return self.convert_condition_field_eq_val_str(cond, state)

    def convert_condition_field_eq_val_num(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        """A number."""
        return Call("equals", cond.field, (_number(cond.value),))

    def convert_condition_field_eq_val_timestamp_part(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        """``field|hour: 3`` and its kin."""
        assert isinstance(cond.value, SigmaTimestampPart)  # noqa: S101
        return _time_call(cond.field, cond.value, "==")

    def convert_condition_field_eq_val_bool(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        """A boolean, which is compared by its text."""
        return Call("equals", cond.field, (str(cond.value).lower(),))

    def convert_condition_field_eq_val_re(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        """A regular expression."""
        return _regex_call("regex", cond.field, cond.value, unsafe=self.unsafe_regex)

    def convert_condition_field_eq_val_cidr(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        """An IP network."""
        assert isinstance(cond.value, SigmaCIDRExpression)  # noqa: S101
        return Call("cidr", cond.field, (str(cond.value.network),))

    def convert_condition_field_compare_op_val(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        """``lt``, ``lte``, ``gt``, ``gte``, also of a part of a date."""
        assert isinstance(cond.value, SigmaCompareExpression)  # noqa: S101
        matcher, sign = _COMPARE_MATCHERS[cond.value.op]
        if isinstance(cond.value.number, SigmaTimestampPart):
            return _time_call(cond.field, cond.value.number, sign)
        return Call(matcher, cond.field, (_number(cond.value.number),))

    def convert_condition_field_eq_field(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        """``fieldref``: another field of the event."""
        assert isinstance(cond.value, SigmaFieldReference)  # noqa: S101
        matcher = _REFERENCE_MATCHERS[bool(cond.value.starts_with), bool(cond.value.ends_with)]
        return Call(matcher, cond.field, (cond.value.field,))

    def convert_condition_field_eq_val_null(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        """``null``."""
        return Call("is_null", cond.field)

    def convert_condition_field_eq_val_exists(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        """``exists``: true or false."""
        call = Call("exists", cond.field)
        return call if cond.value else Not(call)

    def convert_condition_field_eq_query_expr(
        self, cond: ConditionFieldEqualsValueExpression, state: ConversionState
    ) -> Any:
        """A query written by a pipeline is refused: it would be source text from outside."""
        raise Unsupported(*_QUERY_EXPRESSION, cond.field)

    # -- keywords ------------------------------------------------------------------------------------------------------

    def convert_condition_val(self, cond: ConditionValueExpression, state: ConversionState) -> Any:
        """Convert a keyword by its type."""
        value = cond.value
        match value:
            case SigmaExpansion():
                return any_of(
                    self.convert_condition_val(ConditionValueExpression(form), state) for form in value.values
                )
            case SigmaString():
                return keyword_call(value)
            case SigmaTimestampPart():
                raise Unsupported("a keyword cannot be a part of a date", "name the field that holds the date")
            case SigmaNumber():
                return Call("keyword", None, (str(value.number),))
            case SigmaRegularExpression():
                return _regex_call("keyword_regex", None, value, unsafe=self.unsafe_regex)
            case SigmaQueryExpression():
                raise Unsupported(*_QUERY_EXPRESSION)
            case _:
                raise Unsupported(
                    f"a keyword cannot be of type {type(value).__name__}",
                    "name the field, or write it as text",
                )


_PLACEHOLDER_REMEDY = "give it values, by placeholders= or a pipeline with value_placeholders"
_QUERY_EXPRESSION = (
    "a query expression from a pipeline",
    "use value_placeholders instead of query_expression_placeholders",
)


def _number(value: Any) -> int | float:
    number: int | float = value.number
    return number


def _time_call(field: str, value: SigmaTimestampPart, sign: str) -> Call:
    return Call("time_part", field, (), more=(value.timestamp_part.name.lower(), sign, value.number))


def _regex_call(matcher: str, field: str | None, value: Any, *, unsafe: bool) -> Call:
    assert isinstance(value, SigmaRegularExpression)  # noqa: S101
    if value.contains_placeholder():
        raise Unsupported("a placeholder in the regular expression has no value", _PLACEHOLDER_REMEDY, field)
    flags = "".join(sorted(_FLAGS[flag] for flag in value.flags))
    pattern = str(value.regexp)
    try:
        found = classify(pattern, flags)
    except PatternRefusedError as error:
        raise Unsupported(f"regular expression {pattern!r:.200}: {error}", "correct the pattern", field) from error
    most = found.characters
    if most is not None and unsafe:
        return Call(matcher + "_unbounded", field, (), more=(pattern, flags) if flags else (pattern,))
    if most is None:
        return Call(matcher, field, (), more=(found.pattern, flags) if flags else (found.pattern,))
    if most == 0:
        growth = "exponential time" if not found.degree else f"time of degree {found.degree}"
        finding = f"regular expression {pattern!r:.200} can take {growth} in the value's length: {found.reason}"
        raise Unsupported(finding, REGEX_REMEDY, field)
    return Call(matcher + "_within", field, (), more=(found.pattern, flags, most))


def _flag(name: str, value: bool | int | str) -> bool:
    """Return the truth of an option that the command line hands over as text or number."""
    truths = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    try:
        return truths[str(value).lower()]
    except KeyError:
        raise SigmaConfigurationError(f"backend option {name} is true or false, not {value!r}") from None
