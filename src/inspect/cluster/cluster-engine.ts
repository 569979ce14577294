/** The engine of a cluster, opened by a command that is not a member. */
import type { Clock } from '../../clock.ts'
import { configError, isKeelsonError, reasonText } from '../../errors.ts'
import type { ClusterTools } from '../../members/index.ts'
import { loadClusterTools } from '../../members/index.ts'
import type { EngineSession } from '../../storage/index.ts'
import type { ClusterOptions } from '../../supervisors/index.ts'
import type { Environment } from '../command/environment.ts'
import { type ReportView, runReported, type Work } from '../command/long-work.ts'

/** Whether the engine keeps as many copies as the configuration wants. */
export type Durability = { readonly copies: number; readonly refusal?: string }

/** The work of a command on an engine. */
export type EngineWork = Work & {
  readonly cluster: ClusterOptions
  readonly session: EngineSession
  readonly tools: ClusterTools
  readonly durability: Durability
  readonly clock: Clock
}

type Worded = { readonly json: boolean; readonly progress: boolean }

/**
 * A command of `keelson cluster`: it connects to the engine, works there, prints the report, ends the
 * connection, and resolves with the exit status.
 */
export const onEngine =
  <Command extends Worded, Report>(
    work: (work: EngineWork, command: Command) => Promise<Report>,
    view: ReportView<Report>,
  ) =>
  (
    cluster: ClusterOptions | undefined,
    command: Command,
    environment: Environment,
  ): Promise<number> => {
    if (!cluster)
      throw configError('cluster', 'the option, with the engine of the cluster', cluster)
    return runReported(
      command,
      environment,
      async (shown) => {
        const tools = await loadClusterTools()
        const { session, durability } = await connected(cluster)
        const { clock } = environment
        try {
          return await work({ ...shown, cluster, session, tools, durability, clock }, command)
        } finally {
          await session.close()
        }
      },
      view,
    )
  }

/**
 * A session, also with an engine that has fewer copies than members want: a look needs none.
 * @throws KeelsonError as `ClusterEngine.open` does for no copies
 */
const connected = async ({
  name,
  engine,
  copies = 1,
}: ClusterOptions): Promise<{
  readonly session: EngineSession
  readonly durability: Durability
}> => {
  if (!('open' in engine))
    throw configError('cluster.engine', 'an engine of several machines', engine.description)
  try {
    return { session: await engine.open({ cluster: name, copies }), durability: { copies } }
  } catch (error) {
    const mayBeCopies = isKeelsonError(error, 'UNKNOWN_OUTCOME') || isKeelsonError(error, 'CONFIG')
    if (!mayBeCopies) throw error
    const session = await engine.open({ cluster: name, copies: 0 })
    return { session, durability: { copies, refusal: reasonText(error) } }
  }
}
