// A process that takes and releases locks on command. Each input line is a command, each output line an answer:
// `lock flock|file|member PATH` (`member`: as members do), `share member PATH`, `release`, `child` (starts a process that
// outlives it), `exit`. The built package.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { isKeelsonError } from 'keelson'
import { DiskError, memberLocks, nodeDisk } from '../../../dist/storage/index.js'

let lock

const locksBy = (way) => (way === 'member' ? memberLocks() : nodeDisk({ flock: way === 'flock' }))

const take = (command, way, path) => {
  try {
    lock = locksBy(way)[command](path, '{"role":"test"}')
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
  if (command === 'lock' || command === 'share') return take(command, way, path)
  if (command === 'child') return startChild()
  if (command === 'exit') process.exit(0)
  lock?.release()
  return 'released'
}

createInterface({ input: process.stdin }).on('line', (line) => {
  process.stdout.write(`${answer(line.split(' '))}\n`)
})
process.stdout.write('ready\n')
