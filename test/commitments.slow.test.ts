/** The verifier of docs/commitments.md, which knows nothing of Keelson, on proofs of a real log. */
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { expect, test } from 'vitest'
import { commandHere } from './support/commands/command-here.ts'
import { examplesOf } from './support/doc-examples.ts'
import { tempFolder } from './support/temp-folder.ts'

const pair = generateKeyPairSync('ed25519')
const publicPem = pair.publicKey.export({ type: 'spki', format: 'pem' })

/** A log of more than ten groups, one of them of 50 records; its heads in the middle and at the end. */
const audited = async () => {
  const dir = tempFolder()
  const key = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const app = await start({ dir: join(dir, 'data'), wal: { commitments: { key } } })
  const lsns: number[] = []
  const put = async (key: string): Promise<void> => {
    lsns.push((await app.store.put(key, 'value')).position.lsn)
  }
  const keepHead = async (file: string): Promise<void> =>
    writeFileSync(join(dir, file), JSON.stringify(await app.wal(0).commitment()))
  for (let at = 0; at < 8; at++) await put(`a${at}`)
  await Promise.all(Array.from({ length: 50 }, (_, at) => put(`b${at}`)))
  await keepHead('early')
  for (let at = 0; at < 5; at++) await put(`c${at}`)
  await keepHead('head')
  await app.close()
  writeFileSync(join(dir, 'key'), publicPem)
  writeFileSync(join(dir, 'verify.mjs'), examplesOf('docs/commitments.md', 'mjs')[0] ?? '')

  const journal = async (...words: string[]): Promise<void> => {
    expect((await commandHere(['journal', ...words], dir)).errors).toBe('')
  }
  return {
    lsns,
    write: (file: string, content: string | Buffer) => writeFileSync(join(dir, file), content),
    read: (file: string) => readFileSync(join(dir, file), 'utf8'),
    prove: (lsn = 0) => journal('prove', 'data', '--lsn', `${lsn}`, '--out', 'proof'),
    journal,
    /** What the program of the page prints about `files`, or the step that it refuses. */
    verdict: (...files: string[]): string => {
      const program = ['verify.mjs', ...files]
      const ended = spawnSync(process.execPath, program, { cwd: dir, encoding: 'utf8' })
      return (
        ended.stdout.trim() ||
        (/Error: the proof does not hold: (.*)/.exec(ended.stderr)?.[1] ?? ended.stderr)
      )
    },
  }
}

/** The proof with another hex digit where `before` ends. */
const otherAfter = (before: RegExp, proof: string): string =>
  proof.replace(
    new RegExp(`(${before.source})([0-9a-f])`),
    (_, text, digit) => text + (digit === '0' ? '1' : '0'),
  )

test('the verifier of the page accepts the proof of any write', async () => {
  const { lsns, prove, verdict } = await audited()

  for (const lsn of [lsns[0], lsns[8], lsns[30], lsns[57], lsns.at(-1)]) {
    await prove(lsn)
    expect(verdict('proof', 'head', 'key')).toMatch(
      new RegExp(`^the write with lsn ${lsn} is in the history of \\d+ groups$`),
    )
  }
})

test('it refuses a proof of which any part was changed, another head and another key', async () => {
  const { lsns, prove, read, write, verdict } = await audited()
  await prove(lsns[30])
  const proof = read('proof')

  for (const [before, step] of [
    [/"bytes": "/, 'record'],
    [/"row": \[\s*"/, 'record'],
    [/"path": \[\s*"/, 'record'],
    [/"header": "[0-9a-f]{100}/, 'record'],
    [/"header": "[0-9a-f]{38}/, 'signature'],
    [/"header": "[0-9a-f]{300}/, 'signature'],
    [/"history": \[\s*"/, 'history'],
  ] as const) {
    const other = otherAfter(before, proof)
    expect(other).not.toBe(proof)
    write('changed', other)
    expect([before.source, verdict('changed', 'head', 'key')]).toEqual([before.source, step])
  }
  expect(verdict('proof', 'early', 'key')).not.toMatch('is in the history')
  const { publicKey } = generateKeyPairSync('ed25519')
  write('other key', publicKey.export({ type: 'spki', format: 'pem' }))
  expect(verdict('proof', 'head', 'other key')).toBe('signature')
})

test('it accepts that a history continues an earlier head, and refuses any other', async () => {
  const { journal, read, write, verdict } = await audited()
  await journal('head', 'data', '--since', 'early', '--out', 'proof')

  expect(verdict('proof', 'early')).toMatch(/^the history of \d+ groups continues that of \d+/)
  expect(verdict('proof', 'head')).toBe('from')
  write('changed', otherAfter(/"blocks": \[\s*"/, read('proof')))
  expect(verdict('changed', 'early')).toBe('from')
})
