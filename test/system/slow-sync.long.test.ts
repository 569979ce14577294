/**
 * A disk whose fdatasync takes 2 s, made by strace on a real process: what waits stays bounded, the event loop goes on,
 * order is kept. Skipped where strace is missing or may not attach; the simulated disk shows the rest (D24, E48).
 */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { childProgram } from '../support/commands/child-program.ts'
import { lacks } from '../support/lacks.ts'
import { tempFolder } from '../support/temp-folder.ts'

type Seen = {
  readonly accepted: number
  readonly refused: number
  readonly waitingMax: number
  readonly memoryMax: number
  readonly order: readonly number[]
  readonly lsns: readonly number[]
  readonly codes: readonly string[]
  readonly p99: number
  readonly max: number
  readonly ms: number
}

const canTrace = spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0
const noTracing = canTrace ? undefined : 'a slow fdatasync needs strace'
const syncMs = 2_000
const queueBytes = 256 * 1024

/** Makes every fdatasync of a process last `syncMs` longer; resolves when it does. */
const slowDown = (pid: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const inject = `inject=fdatasync:delay_enter=${1_000 * syncMs}`
    const args = ['-f', '-e', 'trace=fdatasync', '-e', inject, '-o', '/dev/null', '-p', `${pid}`]
    const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    onTestFinished(() => void strace.kill())
    strace.stderr.on('data', (text) => String(text).includes('attached') && resolve())
    strace.on('exit', () => reject(new Error('strace ended')))
  })

const ascends = (numbers: readonly number[]): boolean =>
  numbers.every((number, at) => at === 0 || number > (numbers[at - 1] ?? 0))

test.skipIf(lacks(noTracing))(
  'with an fdatasync of 2 s memory stays bounded, the event loop goes on and order is kept',
  { tags: ['D24', 'E48'], timeout: 60_000 },
  async () => {
    const lines: string[] = []
    const dir = join(tempFolder(), 'log')
    let opened: () => void = () => undefined
    const isOpen = new Promise<void>((resolve) => {
      opened = resolve
    })
    const child = childProgram('slow-sync.mjs', [dir, String(queueBytes)], (line) => {
      lines.push(line)
      opened()
    })
    await Promise.race([isOpen, child.ended])
    await slowDown(child.process.pid ?? 0)
    child.process.stdin?.write('go\n')
    const { code } = await child.ended
    expect([code, child.stderr(), lines.length]).toEqual([0, '', 2])
    const seen: Seen = JSON.parse(lines[1] ?? '')

    // Each group took a sync; between the first answers and the fourth lie three.
    expect(seen.ms).toBeGreaterThan(3 * syncMs)
    expect(seen.accepted).toBeGreaterThan(0)
    expect(seen.codes).toEqual(['BUSY'])
    expect(seen.refused).toBeGreaterThan(seen.accepted)
    expect(seen.waitingMax).toBeLessThanOrEqual(queueBytes / 1_000)
    expect(seen.memoryMax).toBeLessThan(64 * 1024 * 1024)
    expect(ascends(seen.order)).toBe(true)
    expect(ascends(seen.lsns)).toBe(true)
    // A sync on the main thread would be a delay of 2 s. Quiet machines show a p99 of 6 to 10 ms; busy ones more.
    expect(seen.max, `p99 ${seen.p99} ms`).toBeLessThan(syncMs / 2)
  },
)
