"""Processing pipelines for Linux logs, found by pySigma and sigma-cli under the keys of ``pipelines``."""

from .pipeline import linux_eval_ecs_pipeline, linux_eval_pipeline, linux_eval_sysmon_pipeline

pipelines = {
    "linux_eval": linux_eval_pipeline,
    "linux_eval_ecs": linux_eval_ecs_pipeline,
    "linux_eval_sysmon": linux_eval_sysmon_pipeline,
}

__all__ = ["linux_eval_ecs_pipeline", "linux_eval_pipeline", "linux_eval_sysmon_pipeline"]
