/** `close()` and SIGTERM while a snapshot, a rebuild, a backup or a watch is under way. Real processes, the built package. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { start } from 'keelson'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { nodeDisk } from '../../src/storage/disk/node-disk.ts'
import { createLog } from '../../src/storage/log/log.ts'
import { childProgram } from '../support/commands/child-program.ts'
import { write } from '../support/commands/command-project.ts'
import { startKeelson } from '../support/commands/keelson-command.ts'
import { folderMadeOnce, tempFolder } from '../support/temp-folder.ts'

const keys = Array.from({ length: 1_000 }, (_, at) => `key ${at}`)

const filledFolder = folderMadeOnce(async (dir) => {
  const app = await start({ dir })
  await Promise.all(keys.map((key) => app.store.put(key, key.repeat(50))))
  await app.close()
})

/** The next start finds everything closed, and every row. */
const isInOrder = async (dir: string): Promise<void> => {
  const shard = join(dir, 'shard-0')
  const log = createLog(nodeDisk(), systemClock())
  const options = { maxFileSize: 64 * 1024 * 1024, sectorBytes: 512 }
  const request = { dir: join(shard, 'wal'), options, evidence: [] }
  expect(log.handle('inspect', request).tail).toBe('clean')
  expect(existsSync(join(shard, 'lmdb', 'CLEAN'))).toBe(true)
  const snapshots = join(shard, 'snapshot')
  expect(existsSync(snapshots) ? readdirSync(snapshots) : []).toEqual([])
  const app = await start({ dir })
  expect(keys.filter((key) => app.store.get(key) !== key.repeat(50))).toEqual([])
  await app.close()
}

test.each(['snapshot', 'rebuild', 'backup', 'watch'])(
  'a process that closes its instance while a %s is under way ends by itself, with everything closed',
  async (work) => {
    const dir = filledFolder()
    const reports: string[] = []
    const args = [work, dir, join(tempFolder(), 'backup')]
    const child = childProgram('work-under-way.mjs', args, (line) => reports.push(line))

    expect(await child.ended, child.stderr()).toEqual({ code: 0, signal: null })
    expect(reports).toEqual(['under way', 'closed'])
    await isInOrder(dir)
  },
)

const program = pathToFileURL(
  join(import.meta.dirname, '../support/programs/work-under-way.mjs'),
).href

test.each(['rebuild', 'snapshot', 'watch'])(
  'keelson run ends in order at SIGTERM while a %s is under way',
  async (work) => {
    const dir = filledFolder()
    const project = tempFolder()
    write(
      project,
      'worker.mjs',
      `import { begin } from ${JSON.stringify(program)}
      export const server = {
        init: (_, context) => {
          const say = () => process.stderr.write('under way')
          begin(${JSON.stringify(work)}, context.app, context.system, say)
          return {}
        },
        calls: {}, casts: {},
      }`,
    )
    write(
      project,
      'service.mjs',
      `import { optionsFor } from ${JSON.stringify(program)}
      const child = { kind: 'worker', id: 'a', module: './worker.mjs', options: {} }
      const app = { kind: 'supervisor', id: 'app', options: {}, children: [child] }
      export default { ...optionsFor(${JSON.stringify(work)}), app }`,
    )
    const service = startKeelson(['run', 'service.mjs', '--dir', dir], project, {}, 'ignore')
    await Promise.all([service.says('ready: '), service.says('under way', 'errors')])
    service.process.kill('SIGTERM')

    const { status, errors } = await service.ended
    expect(status, errors).toBe(0)
    await isInOrder(dir)
  },
)
