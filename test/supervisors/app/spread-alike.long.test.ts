/** What members of a folder do for their users, members of an engine do: the same tests, with the shards in an engine. */
import { describe, vi } from 'vitest'

vi.mock('../../support/worlds/folder-members.ts', async () => {
  const { EngineMembers } = await import('../../support/worlds/engine-members.ts')
  return { FolderMembers: EngineMembers }
})

const parts = {
  'their actors': () => import('./folder-actors.test.ts'),
  'durable workers': () => import('./folder-workers.test.ts'),
  reads: () => import('./folder-reads.slow.test.ts'),
  looks: () => import('./folder-looks.slow.test.ts'),
  watches: () => import('./folder-watch.slow.test.ts'),
  'the journal': () => import('./folder-journal.test.ts'),
  control: () => import('./folder-control.test.ts'),
  'their commands': () => import('./folder-commands.slow.test.ts'),
  health: () => import('./folder-health.slow.test.ts'),
  backups: () => import('./folder-backup.long.test.ts'),
  workflows: () => import('../../flow/folder-flows.slow.test.ts'),
  'looks at workflows': () => import('../../flow/folder-looks.slow.test.ts'),
}

// A file that ran in this process before would not run again.
vi.resetModules()
for (const [what, tests] of Object.entries(parts))
  describe(`members of an engine: ${what}`, async () => void (await tests()))
