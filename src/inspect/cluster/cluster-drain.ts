/** `keelson cluster drain`: a member ends in order, and another one takes over at once. */
import type { ClusterOptions } from '../../supervisors/index.ts'
import { type Environment, printLine } from '../command/environment.ts'
import type { ClusterDrainCommand } from './cluster-command-line.ts'
import { runOnEngine } from './cluster-engine.ts'

/**
 * Drains a member and says who owns then. Resolves with the exit status.
 * @throws KeelsonError `INVALID_ARGUMENT` for a member that was never there; `NO_PROCESS` for one
 * that is gone; as the engine
 */
export const clusterDrain = (
  cluster: ClusterOptions | undefined,
  command: ClusterDrainCommand,
  environment: Environment,
): Promise<number> => {
  const { member } = command
  const texts = {
    asked: `the member ${member} is asked to end; it drains what it has accepted`,
    released: `the member ${member} has given its lease back`,
  }
  return runOnEngine(
    cluster,
    command,
    environment,
    async ({ cluster: { name }, session, tools, clock, signal }) => {
      const onStep = (step: keyof typeof texts): void => printLine(environment.errors, texts[step])
      const parts = { session, clock, signal, onStep }
      return { cluster: name, ...(await tools.drainMember(parts, member)) }
    },
    {
      text: ({ cluster, wasOwner, owner, down }) => {
        const left = down.length > 0 ? `; down at ${member}: shard ${down.join(', ')}` : ''
        if (owner !== undefined && wasOwner) return `the member ${owner} owns ${cluster} now${left}`
        if (owner !== undefined) return `the member ${owner} is the owner of ${cluster}, as before`
        return `nobody owns ${cluster}: no other member has taken over`
      },
    },
  )
}
