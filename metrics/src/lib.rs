//! The only place that knows Prometheus.
