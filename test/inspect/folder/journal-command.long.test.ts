/** `keelson journal` on real folders (the instance needs the build): heads, and proofs for an auditor. */
import { generateKeyPairSync } from 'node:crypto'
import { cpSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { start } from 'keelson'
import { expect, test } from 'vitest'
import { parseJournalCommand } from '../../../src/inspect/folder/journal-command-line.ts'
import { commandHere } from '../../support/commands/command-here.ts'
import { codeOf } from '../../support/error-codes.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const pair = generateKeyPairSync('ed25519')
const pem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const publicPem = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()

test('a put is proven from a copy of the log, and the proof fails with any part of it changed', async () => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd'), wal: { commitments: { key: pem } } })
  const { position } = await app.store.put('fills/7', { price: 12, shares: 3 })
  await Promise.all(Array.from({ length: 30 }, (_, at) => app.store.put(`k${at}`, at)))
  const early = await app.wal(0).commitment()
  await app.store.put('last', 1)
  cpSync(join(dir, 'd/shard-0/wal'), join(dir, 'copy'), { recursive: true })
  const head = await app.wal(0).commitment()
  await app.close()
  writeFileSync(join(dir, 'key'), publicPem)
  writeFileSync(join(dir, 'early'), JSON.stringify(early))
  rmSync(join(dir, 'd'), { recursive: true })

  const words = ['journal', 'prove', 'copy', '--lsn', String(position?.lsn), '--out', 'proof']
  expect(await commandHere(words, dir)).toMatchObject({ status: 0, errors: '' })
  await commandHere(['journal', 'head', 'copy', '--out', 'head'], dir)
  expect(JSON.parse(readFileSync(join(dir, 'head'), 'utf8'))).toMatchObject(head ?? {})
  const check = ['journal', 'verify', 'proof', '--head', 'head', '--key', 'key', '--json']
  const verified = await commandHere(check, dir)
  expect(verified.status).toBe(0)
  expect(JSON.parse(verified.output)).toMatchObject({
    holds: true,
    headIsKept: true,
    record: { lsn: position?.lsn, units: [{ command: 'put', key: 'fills/7' }] },
  })

  const text = readFileSync(join(dir, 'proof'), 'utf8')
  const other = text.replace(
    /"bytes": "(..)/,
    (_, byte) => `"bytes": "${byte === '00' ? '01' : '00'}`,
  )
  expect(other).not.toBe(text)
  writeFileSync(join(dir, 'changed'), other)
  const failed = await commandHere(['journal', 'verify', 'changed', '--json'], dir)
  expect(failed).toMatchObject({ status: 4 })
  expect(JSON.parse(failed.output)).toMatchObject({ holds: false, step: 'record' })

  const beyond = await commandHere(['journal', 'prove', 'copy', '--lsn', '99999'], dir)
  expect(beyond).toMatchObject({ status: 1 })
  expect(beyond.errors).toMatch(/the log ends with lsn \d+/)

  writeFileSync(join(dir, 'entry'), 'another write')
  for (const words of [
    ['--entry', 'entry'],
    ['--head', 'early'],
  ])
    expect((await commandHere(['journal', 'verify', 'proof', ...words], dir)).status).toBe(4)
  const since = ['journal', 'head', 'copy', '--since', 'early', '--out', 'consistency']
  expect(await commandHere(since, dir)).toMatchObject({ status: 0, errors: '' })
  expect(
    (await commandHere(['journal', 'verify', 'consistency', '--head', 'head'], dir)).status,
  ).toBe(0)
})

test('an entry is compared by its body, as a replica has it, whatever the order of its names', async () => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd'), wal: { commitments: true } })
  const [command, response] = [{ price: 12, shares: 3, account: 'a' }, { ok: true }]
  const { lsn } = await app.journal.append({ id: 'o1', type: 'order', command, response })
  await app.close()
  await commandHere(['journal', 'prove', 'd', '--lsn', `${lsn}`, '--out', 'proof'], dir)
  const proof = JSON.parse(readFileSync(join(dir, 'proof'), 'utf8'))
  const write = Buffer.from(proof.record.bytes, 'hex')
  const body = write.subarray(1 + 16)
  const verify = ['journal', 'verify', 'proof', '--entry', 'entry']
  for (const [bytes, status] of [
    [write, 0],
    [body, 0],
    [body.map((byte, at) => (at === 40 ? byte ^ 1 : byte)), 4],
    [write.subarray(1), 4],
  ] as const) {
    writeFileSync(join(dir, 'entry'), bytes)
    expect(await commandHere(verify, dir)).toMatchObject({ status })
  }
})

test('a proof is a new file for its own user alone, and follows no link', async () => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd'), wal: { commitments: true } })
  const { position } = await app.store.put('a', 1)
  await app.close()
  const proveTo = (out: string) =>
    commandHere(['journal', 'prove', 'd', '--lsn', `${position.lsn}`, '--out', out], dir)
  writeFileSync(join(dir, 'proof'), 'an earlier one', { mode: 0o644 })
  writeFileSync(join(dir, 'other'), 'untouched')
  symlinkSync(join(dir, 'other'), join(dir, 'link'))

  expect(await proveTo('proof')).toMatchObject({ status: 0, errors: '' })
  expect(statSync(join(dir, 'proof')).mode & 0o777).toBe(0o600)
  expect(JSON.parse(readFileSync(join(dir, 'proof'), 'utf8'))).toMatchObject({})
  expect((await proveTo('link')).errors).toMatch(/^INVALID_ARGUMENT: .*link cannot be written/)
  expect(readFileSync(join(dir, 'other'), 'utf8')).toBe('untouched')
})

test('a head that was changed anywhere is refused, and so is a file that cannot be read or written', async () => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd'), wal: { commitments: true } })
  await app.store.put('a', 1)
  const { position } = await app.store.put('b', 2)
  const head = await app.wal(0).commitment()
  await app.close()
  const keep = (file: string, change: object): void =>
    writeFileSync(join(dir, file), JSON.stringify({ ...head, ...change }))
  const prove = ['journal', 'prove', 'd', '--lsn', `${position?.lsn}`, '--out', 'proof']
  expect((await commandHere(prove, dir)).errors).toBe('')
  const verify = ['journal', 'verify', 'proof', '--head', 'head']
  const since = ['journal', 'head', 'd', '--since', 'head', '--out', 'since']

  keep('head', {})
  expect((await commandHere(verify, dir)).output).toContain('is the one in the file')
  expect(await commandHere(since, dir)).toMatchObject({ status: 0, errors: '' })
  const hash = 'a'.repeat(64)
  for (const change of [{ size: 1 }, { root: hash }, { hash }, { lsn: 7_777 }, { time: 1 }]) {
    keep('head', change)
    const [field] = Object.keys(change)
    expect([field, (await commandHere(verify, dir)).status]).toEqual([field, 4])
    const refused = await commandHere(since, dir)
    expect(refused.errors).toMatch(/^CORRUPT: the log does not continue the history of that head/)
    expect(refused.status).toBe(1)
  }

  for (const words of [
    ['verify', 'none'],
    ['verify', 'd'],
    ['verify', 'proof', '--head', 'none'],
    ['verify', 'proof', '--key', 'none'],
    ['head', 'd', '--since', 'none'],
    ['head', 'd', '--out', 'd'],
  ]) {
    const { status, errors } = await commandHere(['journal', ...words], dir)
    expect([status, errors]).toEqual([
      1,
      expect.stringMatching(/^INVALID_ARGUMENT: .+ cannot be (read|written): (ENOENT|EISDIR)/),
    ])
  }
})

test('a proof or a head of a newer version does not count as one that holds', async () => {
  const dir = tempFolder()
  const app = await start({ dir: join(dir, 'd'), wal: { commitments: true } })
  const { position } = await app.store.put('a', 1)
  await app.close()
  const lsn = String(position?.lsn)
  await commandHere(['journal', 'prove', 'd', '--lsn', `${lsn}`, '--out', 'proof'], dir)
  await commandHere(['journal', 'head', 'd', '--out', 'head'], dir)
  for (const file of ['proof', 'head']) {
    const whole = readFileSync(join(dir, file), 'utf8')
    writeFileSync(
      join(dir, file),
      whole.replace(/"format": ?1/, (text) => text.replace('1', '2')),
    )
    const words = ['journal', 'verify', 'proof', '--head', 'head', '--json']
    const { status, output } = await commandHere(words, dir)
    expect([status, JSON.parse(output)]).toMatchObject([4, { holds: false, step: 'format' }])
    writeFileSync(join(dir, file), whole)
  }
})

test('an LSN that was released is refused with the option that keeps more', async () => {
  const dir = tempFolder()
  const wal = { commitments: true, maxFileSize: 131_072 }
  const app = await start({ dir: join(dir, 'd'), wal })
  for (let at = 0; at < 12; at++) await app.store.put('k', `${at}`.repeat(20_000))
  await app.control.snapshot(0)
  await app.close()
  const { status, errors } = await commandHere(['journal', 'prove', 'd', '--lsn', '1'], dir)
  expect(status).toBe(1)
  expect(errors).toMatch(/lsn 1 was released: .*retention/)
})

test('words that mean nothing are refused with what is wrong about them', () => {
  for (const words of [
    ['proof'],
    ['prove', 'd'],
    ['prove', '--lsn', '1'],
    ['prove', 'd', '--lsn', 'x'],
    ['head', 'd', 'e'],
    ['verify'],
    ['verify', 'p', '--at', '1'],
  ])
    expect(codeOf(() => parseJournalCommand(words))).toBe('INVALID_ARGUMENT')
  expect(parseJournalCommand(['prove', 'd', '--lsn', '7', '--at', '3'])).toMatchObject({
    kind: 'journal prove',
    dir: 'd',
    lsn: 7,
    index: 0,
    at: 3,
    shard: 0,
  })
  expect(parseJournalCommand(['verify', '--help'])).toMatchObject({ kind: 'help' })
})

test('a backup and the folder restored from it go on with the chain, and prove what it has', async () => {
  const dir = tempFolder()
  const options = { dir: join(dir, 'd'), wal: { commitments: true, maxFileSize: 128 * 1024 } }
  const app = await start(options)
  const value = 'x'.repeat(1_000)
  await Promise.all(Array.from({ length: 400 }, (_, at) => app.store.put(`k${at}`, value)))
  await app.control.snapshotAll()
  const { position } = await app.store.put('fills/7', 1)
  const head = await app.wal(0).commitment()
  await app.backup(join(dir, 'b'))
  await app.store.put('later', 1)
  const again = await app.backup(join(dir, 'b'))
  await app.close()
  expect(again.shards[0]?.copiedBytes).toBeLessThan(200_000)

  writeFileSync(join(dir, 'head'), JSON.stringify(head))
  await commandHere(['restore', 'b', '--to', 'r'], dir)
  const restored = await start({ ...options, dir: join(dir, 'r'), app: false })
  await restored.store.put('new', 1)
  expect((await restored.wal(0).commitment())?.size).toBe((head?.size ?? 0) + 2)
  await restored.close()
  const verified = await commandHere(['doctor', 'r', '--json'], dir)
  expect(JSON.parse(verified.output).logs[0]).toMatchObject({ verdict: 'clean', damage: [] })
  for (const folder of ['d', 'r']) {
    const since = ['journal', 'head', folder, '--since', 'head', '--out', `${folder}.proof`]
    expect(await commandHere(since, dir)).toMatchObject({ status: 0, errors: '' })
    const prove = ['journal', 'prove', folder, '--lsn', `${position?.lsn}`, '--at', `${head?.size}`]
    expect((await commandHere([...prove, '--out', 'proof'], dir)).errors).toBe('')
    const check = await commandHere(['journal', 'verify', 'proof', '--head', 'head'], dir)
    expect(check.status).toBe(0)
  }
}, 60_000)
