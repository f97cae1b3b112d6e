"""Traces: a span of each flow and task run, sent to the collector that the environment names.

Prefect makes the spans, by OpenTelemetry's API; with OpenTelemetry's SDK set up here they are sent
in batches, beside the work, by OTLP over HTTP. Its standard variables say where and how:
OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME and their like.

What has left this machine cannot be erased. So a span says which step ran, when, for how long, in
which run and how it ended, and nothing in words: no message of an error, which may name an image.
These are in the log, by the run's id.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

NOT_INSTALLED = (
    "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry's SDK is not installed: install "
    "requirements-telemetry.lock, or unset it. Runs are not traced."
)

_log = logging.getLogger(__name__)

_TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_ALL = "OTEL_EXPORTER_OTLP_ENDPOINT"
# Seconds that a process waits at its end for a collector that does not answer; 10 by default.
_TIMEOUT = ("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
_TOLD = (
    *("prefect.run.id", "prefect.run.name", "prefect.run.type", "prefect.tags"),
    *("prefect.flow.id", "prefect.state.id", "prefect.state.name", "prefect.state.type"),
    "exception.type",
)


def traces_url() -> str:
    """Where spans are sent, or "" where nothing says so."""
    if own := os.environ.get(_TRACES):
        return own
    base = os.environ.get(_ALL, "")
    return f"{base.rstrip('/')}/v1/traces" if base else ""


def is_installed() -> bool:
    """Whether OpenTelemetry's SDK and its sender are."""
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk  # noqa: F401
    except ImportError:
        return False
    return True


def begin() -> None:
    """From now on, send the spans of this process; where nothing says where to, do nothing."""
    if not traces_url():
        return
    if not is_installed():
        _log.warning(NOT_INSTALLED)
        return
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    os.environ.setdefault(*_TIMEOUT)
    name = os.environ.get("OTEL_SERVICE_NAME") or "mirrorset"
    # Sent are the spans that wait at the end of the process, too.
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(_sender()))
    trace.set_tracer_provider(provider)


def _sender() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExportResult

    class Sender(OTLPSpanExporter):
        """Sends spans without words, and says once where nobody takes them."""

        is_silent = False

        def export(self, spans: "Sequence[ReadableSpan]") -> SpanExportResult:
            result = super().export([_wordless(span) for span in spans])
            if result is not SpanExportResult.SUCCESS and not self.is_silent:
                self.is_silent = True
                _log.warning("%s takes no traces: runs go on without them.", traces_url())
            return result

    # Its own words on each try would stand between ours.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    return Sender()


def _wordless(span: "ReadableSpan") -> "ReadableSpan":
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import Status

    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_told(span.attributes),
        events=[Event(one.name, _told(one.attributes), one.timestamp) for one in span.events],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _told(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (attributes or {}).items() if name in _TOLD}
