/** The embedded broker: find or fetch nats-server, write its configuration, run it. */
export { cacheDirectory } from "./cache.ts";
export { type ServerConfigOptions, writeServerConfig } from "./config.ts";
export { type FetchWay, type FindServerOptions, type FoundServer, findNatsServer } from "./find.ts";
export { readServerInfo, type ServerInfo } from "./info.ts";
export { findFreePort } from "./port.ts";
export { NatsServer, type NatsServerOptions } from "./server.ts";
export { AlreadyRunningError, findRunningServer, type RunningServer } from "./state.ts";
export { MINIMUM_SERVER_VERSION } from "./version.ts";
