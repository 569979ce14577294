// A process that takes and releases locks on command. Each input line is a command, each output line an answer:
// `lock flock|file PATH`, `release`, `child` (starts a process that outlives it), `exit`. The built package.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { isKeelsonError } from 'keelson'
import { DiskError, nodeDisk } from '../../../dist/storage/index.js'

let lock

const take = (way, path) => {
  try {
    lock = nodeDisk({ flock: way === 'flock' }).lock(path, '{"role":"test"}')
    return 'held'
  } catch (error) {
    return isKeelsonError(error) || error instanceof DiskError ? error.code : String(error)
  }
}

const startChild = () => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    detached: true,
    stdio: 'ignore',
  })
  child.unref()
  return String(child.pid)
}

const answer = ([command, way = '', path = '']) => {
  if (command === 'lock') return take(way, path)
  if (command === 'child') return startChild()
  if (command === 'exit') process.exit(0)
  lock?.release()
  return 'released'
}

createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(`${answer(line.split(' '))}\n`)
})
process.stdout.write('ready\n')
