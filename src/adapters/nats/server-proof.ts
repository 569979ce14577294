/**
 * Whether the servers of a stream keep what they acknowledge. By default a server of NATS syncs its
 * files every two minutes. It says only at its monitoring address whether it syncs before each
 * acknowledgement. It is apart from `nats.ts`, because the ground of every promise is judged here.
 */
import { KeelsonError, reasonText } from '../../errors.ts'
import { type NatsLink, noAnswer, type StreamInfo } from './nats-link.ts'

/** What keeps an acknowledged message: the disks of a majority, or a majority of servers. */
export type NatsDurability = 'synced' | 'replicated'

/** What a server says of itself at `/varz`. */
export type ServerStatus = {
  readonly server_name?: string
  readonly version?: string
  readonly jetstream?: { readonly config?: { readonly sync_always?: boolean } }
}

/** The servers that keep a stream, by their names. */
export const serversOf = ({ cluster }: StreamInfo, connected: string): readonly string[] =>
  cluster
    ? [...(cluster.leader ? [cluster.leader] : []), ...(cluster.replicas ?? []).map(namedBy)]
    : [connected]

const namedBy = ({ name }: { readonly name: string }): string => name

/** Before this version a new leader answered before it had applied its log (nats-server #6485). */
const [leastMajor, leastMinor] = [2, 11]

/** Why a stream on `servers` may lose what they acknowledge; `undefined` if it may not. Pure. */
export const doubtAbout = (
  servers: readonly string[],
  told: readonly ServerStatus[],
): string | undefined => {
  for (const name of servers) {
    const status = told.find(({ server_name }) => server_name === name)
    if (!status) return `the server ${name} is at none of the monitoring addresses (monitors)`
    if (status.jetstream?.config?.sync_always !== true)
      return `the server ${name} does not sync before it acknowledges (sync_interval: always)`
    const [major = 0, minor = 0] = (status.version ?? '').split('.').map(Number)
    const isOld = major < leastMajor || (major === leastMajor && minor < leastMinor)
    if (isOld && servers.length > 1)
      return `the server ${name} is of version ${status.version}, and replicas need 2.11`
  }
  return undefined
}

/** The proofs of the streams of a session. */
export class ServerProof {
  /** The connection that a stream was proven on. */
  readonly #proven = new Map<string, number>()
  readonly #link: NatsLink
  readonly #durability: NatsDurability
  readonly #monitors: readonly string[]

  constructor(link: NatsLink, durability: NatsDurability, monitors: readonly string[]) {
    this.#link = link
    this.#durability = durability
    this.#monitors = monitors
  }

  /**
   * Refuses a stream that may lose what it acknowledges. Asks again after each new connection.
   * @throws KeelsonError `CONFIG`; `UNKNOWN_OUTCOME` if a server does not say
   */
  async require(stream: string): Promise<void> {
    if (this.#durability === 'replicated') return
    const { connections } = this.#link
    if (this.#proven.get(stream) === connections) return
    const [info, { name }] = await Promise.all([this.#link.info(stream), this.#link.server()])
    if (!info) return
    const told = await Promise.all(this.#monitors.map(statusAt))
    const doubt = doubtAbout(serversOf(info, name), told)
    if (doubt !== undefined)
      throw new KeelsonError('CONFIG', `the server may lose what it acknowledges: ${doubt}`, {
        details: { path: 'cluster.engine', expected: 'sync_interval: always', found: doubt },
      })
    this.#proven.set(stream, connections)
  }
}

/** A monitoring address that is away is not decided: its server may be the one that counts. */
const statusAt = async (monitor: string): Promise<ServerStatus> => {
  try {
    const answer = await fetch(new URL('varz', `${monitor.replace(/\/+$/, '')}/`), {
      signal: AbortSignal.timeout(5_000),
    })
    return (await answer.json()) as ServerStatus
  } catch (error) {
    throw noAnswer(`the monitoring address ${new URL(monitor).host}: ${reasonText(error)}`, error)
  }
}
