/** The golden backup, which has rows of every class that lives, with more shards: its content answers as before. */
import { join } from 'node:path'
import { start } from 'keelson'
import { expect, test } from 'vitest'
import { runKeelson } from '../support/commands/keelson-command.ts'
import { unpacked } from '../support/golden/golden-archive.ts'
import { goldenLog, goldenOptions, verifyGolden } from '../support/golden/golden-life.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { triesAll } from '../support/tier.ts'

const accepts = ['--cut-log', '--projections', 'drop:*', '--new-commitments']

test.each(triesAll ? [2, 3, 64] : [3, 16])(
  'states, index, alarms, answered ids and runs are as before in %s times the shards',
  { tags: ['SH4'] },
  async (times) => {
    const folder = tempFolder()
    const backup = unpacked('test/golden/1.0/backup.br', join(folder, 'backup'))
    const dir = join(folder, 'data')
    const words = ['restore', backup, '--to', dir, '--shards', `${2 * times}`, '--json']

    const refused = await runKeelson(words, '.')
    expect(refused.status).toBe(4)
    const { findings } = JSON.parse(refused.output)
    expect(new Set(findings.map(({ kind }: { kind: string }) => kind))).toEqual(
      new Set(['cut-log', 'projection', 'commitments']),
    )
    const made = await runKeelson([...words, ...accepts], '.')
    expect(made.status, made.errors).toBe(0)

    const app = await start({ dir, ...goldenOptions(true, 2 * times), wal: goldenLog, acts: true })
    await verifyGolden(app, { hasLog: false })
    await app.close()
    const { status, output } = await runKeelson(['doctor', dir, '--deep'], '.')
    expect(status, output).toBe(0)
  },
)
