/** Folders as one compressed file each: their files by path, in base64. Empty folders are not kept. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib'

/** Sockets, and the locks of a process. */
const isOfProcess = (path: string): boolean => /(^|\/)LOCK[^/]*$|\.sock$|lock\.mdb$/.test(path)

/** The files of a folder: their paths, sorted. */
export const filesOf = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((path) => !isOfProcess(path) && statSync(join(dir, path)).isFile())
    .sort()

/** Writes the folder `dir` into `file`. */
export const packed = (dir: string, file: string): void => {
  const files = filesOf(dir).map((path) => [path, readFileSync(join(dir, path), 'base64')])
  writeFileSync(file, brotliCompressSync(JSON.stringify(Object.fromEntries(files))))
}

/** Makes the folder `dir` from `file`. */
export const unpacked = (file: string, dir: string): string => {
  const files: Record<string, string> = JSON.parse(
    brotliDecompressSync(readFileSync(file)).toString('utf8'),
  )
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true })
    writeFileSync(join(dir, path), Buffer.from(content, 'base64'))
  }
  return dir
}
