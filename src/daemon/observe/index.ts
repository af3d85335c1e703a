export { createLogger, LOG_LEVELS, type LogLevel, type LogOptions, type LogSink, type Logger } from "./log.ts";
export { createMetrics, type Metrics, type MetricsPhase } from "./metrics.ts";
