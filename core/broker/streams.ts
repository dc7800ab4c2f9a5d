/** Making the streams and buckets of an instance, with every limit said. */
import {
  DiscardPolicy,
  JetStreamApiError,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { type NatsConnection, nanos } from "@nats-io/transport-node";
import { CODE_RETENTION_MS, REMEMBERED_MS, RETENTION_MS } from "./expiry.ts";
import { HUB_STREAMS, shortUser, streamOf, subjectOf } from "./names.ts";
import { ApiCode } from "./publish.ts";

/** A worker's heartbeat is forgotten after this. */
export const WORKER_ENTRY_MS = 60_000;

/** The server caps consumers of a stream at 1000 unless it says otherwise (nats-server 2.15). */
const MAX_CONSUMERS = 20_000;
const MAX_MESSAGES = 50_000_000;

type Config = Partial<StreamConfig> & { name: string };

const common = {
  retention: RetentionPolicy.Limits,
  storage: StorageType.File,
  max_consumers: MAX_CONSUMERS,
  max_msgs: MAX_MESSAGES,
  allow_direct: true,
  allow_rollup_hdrs: false,
  discard: DiscardPolicy.New,
  max_age: nanos(RETENTION_MS),
} satisfies Partial<StreamConfig>;

/**
 * The least that the server takes: ids of outcomes only tie those together that are stored in a row (./chain.ts), and
 * each that is remembered costs it memory.
 */
const REMEMBERED_IDS_MS = 100;

/** A subject takes one message, ever; a second is refused. */
const writeOnce = { max_msgs_per_subject: 1, discard_new_per_subject: true } as const;

/** The streams of one user. Shares of the quota add up to 1. */
function userStreams(user: string, quotaBytes: number): Config[] {
  const u = shortUser(user);
  const share = (fraction: number) => Math.floor(quotaBytes * fraction);
  return [
    {
      ...common,
      allow_msg_ttl: true,
      ...writeOnce,
      name: streamOf.calls(u),
      subjects: [`humq.call.${u}.*.*`],
      allow_atomic: true,
      max_bytes: share(0.2),
    },
    {
      ...common,
      allow_msg_ttl: true,
      name: streamOf.tags(u),
      subjects: [`$KV.humq_tags_${u}.>`],
      max_msgs_per_subject: 1,
      max_age: nanos(RETENTION_MS + REMEMBERED_MS),
      max_bytes: share(0.02),
    },
    {
      ...common,
      allow_msg_ttl: true,
      ...writeOnce,
      name: streamOf.results(u),
      subjects: [`$KV.humq_results_${u}.>`],
      allow_atomic: true,
      duplicate_window: nanos(REMEMBERED_IDS_MS),
      max_bytes: share(0.25),
    },
    {
      ...common,
      allow_msg_ttl: true,
      name: streamOf.functions(u),
      subjects: [`$O.humq_functions_${u}.C.>`, `$O.humq_functions_${u}.M.>`],
      max_age: nanos(CODE_RETENTION_MS),
      max_bytes: share(0.05),
    },
    {
      ...common,
      allow_msg_ttl: true,
      name: streamOf.arguments(u),
      subjects: [`$O.humq_arguments_${u}.C.>`, `$O.humq_arguments_${u}.M.>`],
      max_bytes: share(0.18),
    },
    {
      ...common,
      allow_msg_ttl: true,
      name: streamOf.outputs(u),
      subjects: [`$O.humq_outputs_${u}.C.>`, `$O.humq_outputs_${u}.M.>`],
      max_bytes: share(0.25),
    },
    {
      ...common,
      allow_msg_ttl: true,
      name: streamOf.logs(u),
      subjects: [`humq.log.${u}.*.*`],
      discard: DiscardPolicy.Old,
      max_bytes: share(0.05),
    },
  ];
}

const HEADER_BYTES = 4096;
/** All that one person shares, with everybody. */
export const SHARES_BYTES = 128 * 2 ** 10;

const hubStreams: Config[] = [
  {
    ...common,
    name: HUB_STREAMS.grants,
    subjects: ["$KV.humq_grants.>"],
    max_msgs_per_subject: 1,
    max_age: 0,
    max_bytes: 256 * 2 ** 20,
  },
  {
    ...common,
    name: HUB_STREAMS.workers,
    subjects: ["$KV.humq_workers.>"],
    max_msgs_per_subject: 1,
    max_age: nanos(WORKER_ENTRY_MS),
    max_bytes: 256 * 2 ** 20,
  },
  {
    ...common,
    name: HUB_STREAMS.shares,
    subjects: [subjectOf.shares("*")],
    max_msgs_per_subject: 1,
    max_msg_size: SHARES_BYTES + HEADER_BYTES,
    max_bytes: 256 * 2 ** 20,
  },
];

/** Can be repeated. A stream that is there gets these settings, and keeps its number of replicas. */
async function create(nc: NatsConnection, configs: readonly Config[], replicas: number): Promise<void> {
  const manager = await jetstreamManager(nc, { checkAPI: false, timeout: 10_000 });
  for (const config of configs) {
    try {
      await manager.streams.add({ ...config, num_replicas: replicas } as StreamConfig);
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== ApiCode.streamExists) throw error;
      await manager.streams.update(config.name, config);
    }
  }
}

/** How many replicas the instance's own streams have: new ones are made with as many. */
export async function replicasOf(hub: NatsConnection): Promise<number> {
  const manager = await jetstreamManager(hub, { checkAPI: false, timeout: 10_000 });
  return (await manager.streams.info(HUB_STREAMS.grants)).config.num_replicas;
}

/** @param replicas of streams that are not there yet */
export function createUserStreams(nc: NatsConnection, user: string, quotaBytes: number, replicas = 1): Promise<void> {
  return create(nc, userStreams(user, quotaBytes), replicas);
}

export function createHubStreams(nc: NatsConnection): Promise<void> {
  return create(nc, hubStreams, 1);
}
