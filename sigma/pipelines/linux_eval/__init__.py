pipelines = {}
