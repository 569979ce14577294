/**
 * The tests of machines, once more with other versions of XState: the first one that is supported, and the newest of each
 * minor since. As the copy that everybody shares, and as one that an application brings beside Keelson's own.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { lacks } from '../../support/lacks.ts'

const run = promisify(execFile)

const present = createRequire(import.meta.url)('xstate/package.json').version as string

/** The versions to try, or why they are not known. */
const published = async (): Promise<{ versions: readonly string[]; missing?: string }> => {
  try {
    const { stdout } = await run('npm', ['view', 'xstate@^5.33.0', 'version', '--json'])
    const all = [JSON.parse(stdout) as string | string[]].flat()
    const minorOf = (version: string): string => version.split('.').slice(0, 2).join('.')
    const newest = all.filter((version, at) => minorOf(all[at + 1] ?? '') !== minorOf(version))
    return { versions: [...new Set(['5.33.0', ...newest])].filter((each) => each !== present) }
  } catch {
    return {
      versions: ['of the registry'],
      missing: 'no registry answers with the versions of xstate',
    }
  }
}

const { versions, missing } = await published()

/** The entry of a version, installed in a folder of the project. */
const installed = async (version: string): Promise<string> => {
  const folder = resolve('.tmp/xstate', version)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  await run('npm', ['install', '--no-audit', '--no-fund', `xstate@${version}`], { cwd: folder })
  return join(folder, 'node_modules/xstate/dist/xstate.esm.js')
}

const rooms = ['test/runtime/state-machine', 'test/runtime/machine/machine-']

describe.each(versions)('XState %s', (version) => {
  test.skipIf(lacks(missing)).each(['KEELSON_XSTATE', 'KEELSON_XSTATE_OF_TESTS'])(
    'runs the machines of the tests, as %s',
    async (name) => {
      const env = { ...process.env, [name]: await installed(version), CI: '' }
      const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--maxWorkers', '2', ...rooms]
      const { stdout } = await run(process.execPath, vitest, { env }).catch((error) => error)

      expect(stdout).toMatch(/Tests .*\d+ passed/)
      expect(stdout).not.toMatch(/failed/)
    },
  )
})
