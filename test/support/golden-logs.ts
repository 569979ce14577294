/** The golden logs of `test/golden`, put on a simulated disk. */
import { readdirSync, readFileSync } from 'node:fs'
import { crc32 } from '../../src/bytes/crc32.ts'
import { viewedBytes } from '../../src/bytes/u64.ts'
import { frameHeaderBytes, readFrameHeader } from '../../src/storage/frames/frame.ts'
import { decodeSegmentHeader } from '../../src/storage/frames/segment-header.ts'
import { type SimulatedDisk, simulatedDisk } from '../../src/testing/simulated/simulated-disk.ts'
import { dir, type LogWorld, newestOn, segmentsOn, worldOn } from './worlds/logs.ts'

/** A world with the golden log of that name, durable. */
export const golden = (name: string): LogWorld => {
  const disk = simulatedDisk()
  disk.makeFolder(dir)
  const home = `test/golden/wal-v1/${name}`
  for (const file of readdirSync(home)) {
    if (file === 'expected.json') continue
    const copy = disk.open(`${dir}/${file}`, 'create')
    copy.write(readFileSync(`${home}/${file}`), 0)
    copy.sync()
    copy.close()
  }
  for (const folder of [dir, '/data', '/']) disk.syncFolder(folder)
  return worldOn(disk)
}

const headerOf = (disk: SimulatedDisk, path: string) => {
  const reading = decodeSegmentHeader(disk.contents(path).slice(0, 4096))
  if (reading.kind !== 'good') throw new Error(`${path} has no good header`)
  return reading.header
}

/** Changes a byte in the header of the newest segment's last frame, and its checksum with it. */
export const restamp = (disk: SimulatedDisk, at: number, value: number): void => {
  const path = newestOn(disk)
  const { salt } = headerOf(disk, path)
  const frame = framesOf(disk, path).at(-1)
  if (!frame) throw new Error(`${path} has no frame`)
  const header = disk.contents(path).slice(frame.offset, frame.offset + frameHeaderBytes)
  header[at] = value
  new DataView(header.buffer).setUint32(0, crc32(header.subarray(4), salt.low), true)
  disk.poke(path, frame.offset, header)
}

/** The types of all frames of a golden log. */
export const frameTypesOf = (name: string): number[] => {
  const { disk } = golden(name)
  return segmentsOn(disk).flatMap((path) => framesOf(disk, path).map(({ type }) => type))
}

/** Every place where a frame's header is whole. */
const framesOf = (
  disk: SimulatedDisk,
  path: string,
): { readonly offset: number; readonly type: number }[] => {
  const { salt } = headerOf(disk, path)
  const buffer = viewedBytes(disk.contents(path).slice())
  const found = []
  for (let offset = 4096; offset + frameHeaderBytes <= buffer.bytes.length; offset += 8) {
    const header = readFrameHeader(buffer, offset, salt)
    if (header) found.push({ offset, type: header.type })
  }
  return found
}
