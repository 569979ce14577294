// A process that tries the machine's disk under limits that its starter set, and prints what came of it. First argument:
// `fill` (writes until it is refused) or `change` (tries each change in a folder); second: the path. The built package.
import { DiskError, nodeDisk } from '../../../dist/storage/index.js'

const disk = nodeDisk()
const [what = '', path = ''] = process.argv.slice(2)

const outcome = (action) => {
  try {
    return action()
  } catch (error) {
    if (error instanceof DiskError) return error.code
    throw error
  }
}

const fill = () => {
  const file = disk.open(path, 'create')
  const count = file.write(new Uint8Array(200_000), 0)
  return [count, outcome(() => file.write(new Uint8Array(1), count)), file.size()]
}

const change = () =>
  [
    () => disk.open(`${path}/b`, 'create'),
    () => disk.makeFolder(`${path}/c`),
    () => disk.rename(`${path}/a`, `${path}/b`),
    () => disk.remove(`${path}/a`),
    () => disk.lock(`${path}/LOCK`, ''),
    () => disk.list(path).join(),
  ].map(outcome)

process.stdout.write((what === 'fill' ? fill() : change()).join(' '))
