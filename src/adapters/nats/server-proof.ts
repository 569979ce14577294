/**
 * Whether the servers of a stream keep what they acknowledge. By default a server of NATS syncs its
 * files every two minutes. It says only at its monitoring address whether it syncs before each
 * acknowledgement. It is apart from `nats.ts`, because the ground of every promise is judged here.
 */
import type { Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import { type NatsLink, noAnswer, type StreamInfo } from './nats-link.ts'

/** An acknowledged message is on the disks of a majority, or with a majority that may sync later. */
export type NatsDurability = 'synced' | 'replicated'

/** The answer of a server at `/varz`. */
export type ServerStatus = {
  readonly server_name?: string
  readonly version?: string
  readonly jetstream?: { readonly config?: { readonly sync_always?: boolean } }
}

/** The servers that keep a stream now, by their names. One that is away acknowledges nothing. */
export const serversOf = ({ cluster }: StreamInfo, connected: string): readonly string[] => {
  if (!cluster) return [connected]
  const replicas = (cluster.replicas ?? []).filter(({ offline }) => offline !== true)
  return [...(cluster.leader ? [cluster.leader] : []), ...replicas.map(({ name }) => name)]
}

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

/** How long a proof counts that a server was away for, in ms. */
const partialMs = 10_000

/** The questions of a proof to a connection. */
type ProvenLink = Pick<NatsLink, 'connections' | 'raised' | 'server'>

/** The proofs of the streams of a session. */
export class ServerProof {
  /** The connection that a stream was proven on, and until when that counts. */
  readonly #proven = new Map<string, { readonly connections: number; readonly until: number }>()
  readonly #link: ProvenLink
  readonly #clock: Clock
  readonly #durability: NatsDurability
  readonly #monitors: readonly string[]
  readonly #replicas: number

  constructor(link: ProvenLink, clock: Clock, options: ProofOptions) {
    const { durability, monitors, replicas } = options
    this.#link = link
    this.#clock = clock
    this.#replicas = replicas
    this.#durability = durability
    this.#monitors = monitors
  }

  /**
   * Gives a stream the replicas that it lacks: it may be of a time with fewer copies. Refuses one
   * that may lose what it acknowledges. Asks again after each new connection.
   * @throws KeelsonError `CONFIG`; `UNKNOWN_OUTCOME` if a server does not say
   */
  async prove(stream: string): Promise<void> {
    const { connections } = this.#link
    const now = this.#clock.monotonic()
    const proven = this.#proven.get(stream)
    if (proven?.connections === connections && now < proven.until) return
    const info = await this.#link.raised(stream, this.#replicas)
    if (!info) return
    const servers = serversOf(info, (await this.#link.server()).name)
    if (this.#durability === 'synced') {
      const { doubt, isOpen } = await toldBy(this.#monitors, servers)
      if (doubt !== undefined) throw refusal(doubt, isOpen)
    }
    const isWhole = servers.length >= info.config.num_replicas
    const until = isWhole ? Number.POSITIVE_INFINITY : now + partialMs
    this.#proven.set(stream, { connections, until })
  }
}

/** The connection of a session, and whether its servers are believed. */
export type Served = {
  readonly link: NatsLink
  readonly proof: ServerProof
  readonly clock: Clock
}

type ProofOptions = {
  readonly durability: NatsDurability
  readonly monitors: readonly string[]
  /** How many replicas a stream has at least. */
  readonly replicas: number
}

/** `isOpen`: a monitoring address was away, and may say otherwise when it is back. */
const refusal = (doubt: string, isOpen: boolean): KeelsonError => {
  const message = `the server may lose what it acknowledges: ${doubt}`
  if (isOpen) return noAnswer(message)
  const details = { path: 'cluster.engine', expected: 'sync_interval: always', found: doubt }
  return new KeelsonError('CONFIG', message, { details })
}

/** A monitoring address that does not answer for so long is away, in ms. */
const statusMs = 5_000

/** A doubt that remains. `isOpen`: a monitoring address was away. */
type Told = { readonly doubt: string | undefined; readonly isOpen: boolean }

/**
 * Asks all monitoring addresses, and waits until those of `servers` have proven them. The others are
 * not waited for: one may be on a machine that is away, and whose packets get lost.
 */
const toldBy = (monitors: readonly string[], servers: readonly string[]): Promise<Told> =>
  new Promise((resolve) => {
    const ended = new AbortController()
    const statuses: ServerStatus[] = []
    let open = monitors.length
    const judge = (): void => {
      const doubt = doubtAbout(servers, statuses)
      if (doubt !== undefined && open > 0) return
      ended.abort()
      resolve({ doubt, isOpen: statuses.length < monitors.length })
    }
    judge()
    for (const monitor of monitors)
      void statusAt(monitor, ended.signal).then((status) => {
        open--
        if (status) statuses.push(status)
        judge()
      })
  })

/** The answer at a monitoring address; `undefined` if there is none. */
const statusAt = async (monitor: string, ended: AbortSignal): Promise<ServerStatus | undefined> => {
  const signal = AbortSignal.any([ended, AbortSignal.timeout(statusMs)])
  try {
    const answer = await fetch(`${monitor.replace(/\/+$/, '')}/varz`, { signal })
    return (await answer.json()) as ServerStatus
  } catch {
    return undefined
  }
}
