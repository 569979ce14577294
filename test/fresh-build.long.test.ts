import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempFolder } from './support/temp-folder.ts'

const clock = 'src/clock.ts'

test('a build says nothing, is made again from other sources, and a present one is kept', () => {
  const folder = tempFolder()
  for (const part of [
    'src',
    'scripts',
    'build.mjs',
    'package.json',
    'tsconfig.json',
    'tsconfig.build.json',
  ])
    cpSync(part, join(folder, part), { recursive: true })
  symlinkSync(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'))
  const built = () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['build.mjs', '--if-stale'], {
      cwd: folder,
      encoding: 'utf8',
    })
    expect([status, stdout, stderr]).toEqual([0, '', ''])
    return existsSync(join(folder, 'dist/mark')) ? 'kept' : 'made'
  }
  expect(built()).toBe('made')
  writeFileSync(join(folder, 'dist/mark'), '')
  expect(built()).toBe('kept')
  writeFileSync(join(folder, clock), `${readFileSync(clock, 'utf8')}\n// Changed.\n`)
  expect(built()).toBe('made')
})
