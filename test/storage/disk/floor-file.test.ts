import { expect, test } from 'vitest'
import { isKeelsonError } from '../../../src/errors.ts'
import { raiseFloor, readFloor } from '../../../src/storage/disk/floor-file.ts'
import { sealedJson } from '../../../src/storage/ports/sealed-file.ts'
import { simulatedDisk } from '../../../src/testing/index.ts'

const path = '/floor.json'
const walId = '0123456789abcdef0123456789abcdef'
const floor = { walId, epoch: 3, lsn: 17 }

const golden = `{
  "format": 1,
  "walId": "0123456789abcdef0123456789abcdef",
  "epoch": 3,
  "lsn": 17,
  "crc": "3518588f"
}
`

const withFile = (bytes: Uint8Array) => {
  const disk = simulatedDisk()
  const file = disk.open(path, 'create')
  file.write(bytes, 0)
  file.close()
  return disk
}

const codeOf = (action: () => unknown): unknown => {
  try {
    return action()
  } catch (error) {
    return isKeelsonError(error) ? error.code : error
  }
}

test('a floor in format 1 has these bytes, and is read back', () => {
  const disk = simulatedDisk()
  expect(readFloor(disk, path)).toBeUndefined()
  raiseFloor(disk, path, floor)

  expect(Buffer.from(disk.contents(path)).toString()).toBe(golden)
  expect(readFloor(disk, path)).toEqual(floor)
  expect(disk.list('/')).toEqual(['floor.json'])
})

test('a floor never falls, but for that of another log', () => {
  const disk = simulatedDisk()
  raiseFloor(disk, path, floor)
  raiseFloor(disk, path, { walId, epoch: 4, lsn: 2 })
  expect(readFloor(disk, path)).toEqual({ walId, epoch: 4, lsn: 17 })

  const other = { walId: walId.replace('0', '1'), epoch: 1, lsn: 1 }
  raiseFloor(disk, path, other)
  expect(readFloor(disk, path)).toEqual(other)
})

test('a floor that does not rise is not written', () => {
  const disk = simulatedDisk()
  raiseFloor(disk, path, floor)
  const before = disk.identity(path)
  raiseFloor(disk, path, { walId, epoch: 3, lsn: 9 })

  expect(disk.identity(path)).toBe(before)
})

test('a floor is the old or the new one after any power cut', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const disk = simulatedDisk({ seed })
    raiseFloor(disk, path, floor)
    const raised = { walId, epoch: 3, lsn: 18 }
    disk.inject({ at: (seed % 6) + 1, fault: { kind: 'error', code: 'EIO' } })
    codeOf(() => raiseFloor(disk, path, raised))
    disk.crash()

    expect([floor, raised], `seed ${seed}`).toContainEqual(readFloor(disk, path))
  }
})

test('any flipped bit is CORRUPT with the file, and the file is replaced by the next floor', {
  tags: ['slow'],
}, () => {
  const bytes = Buffer.from(golden)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const disk = withFile(bytes)
    disk.flipBit(path, bit)
    const read = codeOf(() => readFloor(disk, path))
    // White space is not covered, and a digit may become one that JSON reads alike.
    if (read !== 'CORRUPT') expect(read).toEqual(floor)
    raiseFloor(disk, path, floor)
    expect(readFloor(disk, path)).toEqual(floor)
  }
})

test.each([
  ['of a newer format', { format: 2 }, 'UNSUPPORTED_VERSION'],
  ['without a log', { format: 1, epoch: 1, lsn: 1 }, 'CORRUPT'],
  ['with an LSN that is no number', { format: 1, walId, epoch: 1, lsn: '1' }, 'CORRUPT'],
  ['without a format', { walId, epoch: 1, lsn: 1 }, 'CORRUPT'],
])('a sound file %s is refused', (_, fields, code) => {
  expect(codeOf(() => readFloor(withFile(sealedJson(fields)), path))).toBe(code)
})

test('what is no small file is CORRUPT', () => {
  expect(codeOf(() => readFloor(withFile(new Uint8Array(5_000)), path))).toBe('CORRUPT')
  const disk = simulatedDisk()
  disk.makeFolder(path)
  expect(codeOf(() => readFloor(disk, path))).toBe('CORRUPT')
})
