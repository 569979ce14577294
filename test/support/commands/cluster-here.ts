/** `keelson cluster` on a simulated engine, on its clock. */
import { PassThrough } from 'node:stream'
import { runClusterOn } from '../../../src/inspect/cli/cluster-command.ts'
import { parseClusterCommand } from '../../../src/inspect/cluster/cluster-command-line.ts'
import { processEnvironment } from '../../../src/inspect/command/environment.ts'
import { loadClusterTools } from '../../../src/members/index.ts'
import type { Members } from '../worlds/members.ts'

// That takes real time: none passes here.
await loadClusterTools()

/** Runs the words after `keelson cluster`. `shards`: those of the configuration. */
export const clusterHere = async (
  members: Pick<Members, 'clock' | 'engine'>,
  words: string,
  {
    shards,
    ...given
  }: { copies?: number; shards?: number; name?: string; placement?: 'spread' } = {},
) => {
  const command = parseClusterCommand(words.split(' '))
  if (command.kind === 'help') throw new Error('it is help')
  const printed = { output: '', errors: '' }
  const into = (name: 'output' | 'errors') =>
    new PassThrough().on('data', (text: Buffer) => (printed[name] += text))
  const environment = {
    ...processEnvironment(),
    ...{ output: into('output'), errors: into('errors'), cwd: '/', variables: {} },
    clock: members.clock,
    onSignal: () => () => undefined,
  }
  const cluster = { name: 'c', member: 'x', engine: members.engine, copies: 1, ...given }
  const status = await runClusterOn(
    { cluster, ...(shards !== undefined && { shards }) },
    command,
    environment,
  )
  return { status, ...printed }
}
