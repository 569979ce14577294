/**
 * Small JSON files with a checksum over their fields, not over their layout: a person may reformat
 * such a file, but every change of a field is noticed. They are replaced as a whole or not at all.
 */
import { dirname } from 'node:path'
import { crc32 } from '../../bytes/crc32.ts'
import { plainJson } from '../../bytes/json.ts'
import { closing, type Disk } from './disk.ts'
import { attempt, writeAll } from './disk-failure.ts'

/**
 * The fields as JSON text, with their checksum as `crc`. They are read back before they
 * are written: a file that cannot be read is worse than the one that it would replace.
 */
export const sealedJson = (fields: Record<string, unknown>): Uint8Array => {
  const text = plainJson({ ...fields, crc: checksum(fields) }, 2)
  const bytes = new TextEncoder().encode(`${text}\n`)
  const read = unsealed(bytes)
  if ('evidence' in read) throw new TypeError(`fields that JSON does not keep: ${read.evidence}`)
  return bytes
}

/** The fields of a file whose checksum does not hold, and that checksum. */
export type Claims = { readonly fields: Record<string, unknown>; readonly crc: unknown }

/**
 * The fields of a sealed file without `crc`, or why it has none. `claims`: what a damaged one says.
 */
export const unsealed = (
  bytes: Uint8Array,
):
  | { readonly fields: Record<string, unknown> }
  | { readonly evidence: string; readonly claims?: Claims } => {
  const parsed = parseObject(bytes)
  if (!parsed) return { evidence: 'not a JSON object' }
  const { crc, ...fields } = parsed
  const own = checksum(fields)
  return crc === own
    ? { fields }
    : { evidence: `its checksum is ${own}, not ${crc}`, claims: { fields, crc } }
}

/** Whether the claims hold when these fields are right. */
export const holdsWith = ({ crc }: Claims, fields: Record<string, unknown>): boolean =>
  crc === checksum(fields)

/** Makes a file with its bytes, durably, in place of one that was left. @throws DiskError: none is left */
export const writeNewFile = (disk: Disk, path: string, bytes: Uint8Array): void => {
  disk.remove(path)
  try {
    closing(disk.open(path, 'create'), (file) => {
      writeAll(file, bytes, 0, 'ENOSPC')
      file.sync()
    })
  } catch (error) {
    // The first error matters more. The next write removes the leftover.
    attempt(() => disk.remove(path))
    throw error
  }
}

/**
 * Writes a temporary file, syncs it, renames it to `path`, and syncs the folder. After an error or
 * a power cut the file is the old one or the new one.
 * @throws DiskError: no temporary file is left. After a power cut the next write removes it.
 */
export const replaceFile = (disk: Disk, path: string, bytes: Uint8Array): void => {
  const temporary = `${path}.tmp`
  writeNewFile(disk, temporary, bytes)
  try {
    disk.rename(temporary, path)
  } catch (error) {
    attempt(() => disk.remove(temporary))
    throw error
  }
  disk.syncFolder(dirname(path))
}

/** CRC-32 over the fields as JSON without spaces, sorted by name, in eight hex digits. */
const checksum = (fields: Record<string, unknown>): string => {
  const sorted = Object.keys(fields)
    .sort()
    .map((name) => [name, fields[name]])
  const bytes = new TextEncoder().encode(plainJson(sorted))
  return crc32(bytes).toString(16).padStart(8, '0')
}

const parseObject = (bytes: Uint8Array): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? { ...value }
      : undefined
  } catch {
    return undefined
  }
}
