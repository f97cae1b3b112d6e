"""Deployments: the flows on schedules, what follows what, and what Prefect is told of them."""

# Before any module here imports Prefect, which reads its settings then.
import flows.engine  # noqa: F401
