/** `keelson cluster copies`: changes how many machines must have what is acknowledged. */
import type { ClusterOptions } from '../../supervisors/index.ts'
import type { Environment } from '../command/environment.ts'
import { pluralText } from '../text/quantities.ts'
import type { ClusterCopiesCommand } from './cluster-command-line.ts'
import { runOnEngine } from './cluster-engine.ts'

/** The report. */
type Changed = { readonly cluster: string; readonly copies: number; readonly before: number }

/**
 * Changes the number of copies and says so. Resolves with the exit status.
 * @throws KeelsonError `NO_SEGMENTS` without the cluster; `CONFLICT` while a member runs; as the engine
 */
export const clusterCopies = (
  cluster: ClusterOptions | undefined,
  command: ClusterCopiesCommand,
  environment: Environment,
): Promise<number> =>
  runOnEngine(
    cluster,
    command,
    environment,
    async ({ cluster: { name }, session, tools, clock, signal }): Promise<Changed> => {
      const { copies } = command
      const before = await tools.changeCopies(session, clock, signal, copies)
      return { cluster: name, copies, before }
    },
    {
      text: ({ cluster, copies, before }) =>
        `${pluralText(copies, 'machine')} must have what ${cluster} acknowledges, and not ${before}: ` +
        `start its members with copies: ${copies}`,
    },
  )
