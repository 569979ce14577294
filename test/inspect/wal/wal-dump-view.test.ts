/** Commands in `keelson wal dump`: one line each, with its content. */
import { describe, expect, test } from 'vitest'
import { dumpLine } from '../../../src/inspect/wal/wal-dump-view.ts'
import {
  blobRope,
  type Command,
  encodeRope,
  encodeValue,
  keepExpiry,
  noExpiry,
} from '../../../src/storage/index.ts'

const shown = (command: Command): string => {
  const record = {
    kind: 'frame',
    lsn: 1,
    type: 1,
    offset: 0,
    payloadBytes: 0,
    content: { kind: 'units', time: 0, units: [command] },
  } as unknown as Parameters<typeof dumpLine>[0]
  return dumpLine(record, 60).split('0 ms  ')[1] ?? ''
}

const value = encodeValue('v')
const blob = {
  tag: 3 as const,
  bytes: encodeRope(blobRope(1, { size: 300, segment: 1, offset: 48, sha256: new Uint8Array(32) })),
}

describe('a command', () => {
  test.each<[Command, string]>([
    [{ kind: 'put', key: 'k', value, expiry: noExpiry }, `put "k" = 'v'`],
    [
      { kind: 'put', key: 'k', value: blob, expiry: noExpiry },
      'put "k" = <text of 300 B, in blobs>',
    ],
    [
      { kind: 'append', key: 'k', suffix: value, owner: 'ann' },
      `append "k" suffix 'v' owner 'ann'`,
    ],
    [{ kind: 'deleteMany', keys: ['a', 'b'] }, 'deleteMany keys "a", "b"'],
    [
      {
        kind: 'putFields',
        key: 'k',
        fields: [
          ['f', value],
          ['g', value],
        ],
      },
      `putFields "k" fields "f" = 'v', "g" = 'v'`,
    ],
    [
      {
        kind: 'putMany',
        entries: [
          { key: 'a', value, expiry: noExpiry },
          { key: 'b', value, expiry: { kind: 'after', ms: 5 } },
        ],
      },
      `putMany entries "a" = 'v', "b" = 'v' ends after 5 ms`,
    ],
    [
      { kind: 'compareAndSet', key: 'k', expected: undefined, value, expiry: keepExpiry },
      `compareAndSet "k" = 'v' ends as before`,
    ],
    [
      { kind: 'compareAndSet', key: 'k', expected: value, value, expiry: noExpiry },
      `compareAndSet "k" expected 'v' = 'v'`,
    ],
    [{ kind: 'clear', namespace: undefined }, 'clear'],
    [{ kind: 'clear', namespace: 'users' }, `clear namespace 'users'`],
  ])('says what it does: %#', (command, line) => {
    expect(shown(command)).toBe(line)
  })
})
