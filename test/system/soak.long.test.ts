/** The soak of `npm run soak`, for seconds instead of hours: its ledgers are compared, its curves are drawn. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { noFlock } from '../support/harm/folder-locks.ts'
import { lacks } from '../support/lacks.ts'
import { tempFolder } from '../support/temp-folder.ts'

const soaked = async (out: string, ...words: readonly string[]) => {
  const all = ['bench/main.mjs', 'soak', '--quick', '--out', out, ...words]
  const { stdout } = await promisify(execFile)(process.execPath, all)
  return stdout
}

const limits = { timeout: 120_000 }

test.skipIf(lacks(noFlock))(
  'a short soak of an instance and of members keeps everything that was acknowledged, and draws its series',
  limits,
  async () => {
    const out = tempFolder()

    const told = await soaked(out, '--minutes', '0.25', '--pace', '0.5')

    expect(told).toContain('verified: ')
    expect(readFileSync(`${out}/soak.csv`, 'utf8').trim().split('\n')).toHaveLength(16)
    expect(readdirSync(out).filter((file) => file.endsWith('.svg'))).toEqual([
      'soak-instance.svg',
      'soak-member-a.svg',
      'soak-members.svg',
    ])
  },
)

test(
  'a quarter of an hour of virtual time keeps everything, and its curves too',
  limits,
  async () => {
    const out = tempFolder()

    const told = await soaked(out, '--virtual', '--minutes', '15')

    expect(told).toContain('verified ')
    expect(readdirSync(out)).toContain('virtual-a-virtual-day.svg')
  },
)
