/**
 * `keelson/nats`: the engine of a cluster in NATS JetStream, through the package
 * `@nats-io/transport-node`, which is not loaded before it is needed. A cluster has a stream for
 * its directory, one for its files, and one for each log.
 */
import {
  anything,
  argument,
  listOf,
  noMore,
  object,
  oneOf,
  optional,
  or,
  recordOf,
  secret,
  that,
} from '../../check.ts'
import { systemClock } from '../../clock.ts'
import { configError } from '../../errors.ts'
import type { ClusterEngine, EngineSession } from '../../storage/index.ts'
import { namesOf } from './names.ts'
import { NatsDirectory } from './nats-directory.ts'
import { NatsFiles } from './nats-files.ts'
import { NatsLink } from './nats-link.ts'
import { NatsLog } from './nats-log.ts'
import { type NatsDurability, type Served, ServerProof } from './server-proof.ts'

export type { NatsDurability } from './server-proof.ts'

/** The options of `natsEngine`. */
export type NatsEngineOptions = {
  /** Addresses of servers of one cluster of NATS, as `nats://host:4222`. */
  readonly servers: readonly string[]
  /**
   * The monitoring address of each server, as `http://host:8222`. There a server says whether it
   * syncs before it acknowledges (`sync_interval: always`).
   */
  readonly monitors?: readonly string[]
  /**
   * `synced`, the default: an acknowledged message is on the disks of a majority. A server that does
   * not prove it is refused. `replicated`: a majority has it, and may sync it later.
   */
  readonly durability?: NatsDurability
  /** Further options of `connect` of `@nats-io/transport-node`, such as `user`, `pass` or `tls`. */
  readonly client?: Readonly<Record<string, unknown>>
}

const address = (protocols: RegExp, expected: string) =>
  that<string>(
    expected,
    (found) => typeof found === 'string' && protocols.test(found) && URL.canParse(found),
  )

/** No refusal shows a text: it may have a password. */
const engineOptions = secret(
  object({
    servers: listOf(
      address(/^(nats|tls):\/\//, 'an address as nats://host:4222'),
      'a list of addresses as nats://host:4222',
    ),
    monitors: or(
      listOf(
        address(/^https?:\/\//, 'an address as http://host:8222'),
        'a list of addresses as http://host:8222',
      ),
      [],
    ),
    durability: or(oneOf('synced', 'replicated'), 'synced'),
    client: optional(recordOf(anything)),
  }),
)

/** The lease that limits how long a member waits for an answer, for those who have none. */
const leaseMsDefault = 5_000

/** The machines of one message at most, by the rule of JetStream: 5 replicas, 3 are a majority. */
const copiesMax = 3

/**
 * The engine of a cluster on NATS JetStream, for `cluster.engine` of `start`. `copies` machines have
 * what is acknowledged: a stream has `2 * copies - 1` replicas, and a majority of them answers.
 * `docs/cluster-nats-operations.md` says what the servers must be, and what was tried.
 * @throws KeelsonError `INVALID_ARGUMENT`
 */
export const natsEngine = (options: NatsEngineOptions, ...surplus: []): ClusterEngine => {
  noMore(surplus, 'natsEngine({ servers, … })')
  const given = engineOptions(options, argument('', 'natsEngine'))
  const { servers, durability } = given
  const hosts = servers.map((server) => new URL(server).host).join(',')
  return {
    description: `nats ${hosts} (${durability})`,
    open: async ({ cluster, copies, leaseMs = leaseMsDefault }) => {
      if (copies > copiesMax) throw configError('cluster.copies', `at most ${copiesMax}`, copies)
      const clock = systemClock()
      const link = new NatsLink(
        { ...given.client, servers: [...servers] },
        Math.min(10_000, leaseMs),
      )
      const replicas = 2 * copies - 1
      const proof = new ServerProof(link, clock, { ...given, replicas })
      try {
        return await opened({ cluster, link, proof, clock, replicas })
      } catch (error) {
        await link.close()
        throw error
      }
    },
  }
}

type Parts = Served & { readonly cluster: string; readonly replicas: number }

const opened = async ({ cluster, replicas, ...served }: Parts): Promise<EngineSession> => {
  const { link, proof } = served
  const names = namesOf(cluster)
  const directory = new NatsDirectory(served, names.directory)
  const files = new NatsFiles(served, names.files)
  await directory.make(replicas)
  await link.stream(names.files.stream, `${names.files.subject}.>`, replicas)
  await proof.prove(names.files.stream)
  await files.sweep(await directory.now())
  return {
    directory,
    files,
    log: (log) => new NatsLog({ ...served, name: names.log(log), replicas }),
    now: () => directory.now(),
    close: () => link.close(),
  }
}
