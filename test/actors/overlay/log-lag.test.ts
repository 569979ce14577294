import { describe, expect, test } from 'vitest'
import { LogLag } from '../../../src/actors/overlay/log-lag.ts'

const lagOf = (bytesMax: number, frames: number, bytes: number): LogLag => {
  const lag = new LogLag(bytesMax)
  for (let lsn = 1; lsn <= frames; lsn++) lag.add(lsn, bytes)
  return lag
}

describe('the lag of a projection in bytes of log', () => {
  test('is what was added and is not shown, whatever the rows were', () => {
    const lag = lagOf(640, 10, 10)
    expect(lag.bytes).toBe(100)
    lag.shown(4)
    expect(lag.bytes).toBe(60)
    lag.shown(10)
    expect(lag.bytes).toBe(0)
  })

  test('is full from its bound on, until a part is shown', () => {
    const lag = lagOf(640, 63, 10)
    expect(lag.isFull).toBe(false)
    lag.add(64, 10)
    expect(lag.isFull).toBe(true)
    lag.shown(1)
    expect(lag.isFull).toBe(false)
  })

  test('shrinks in parts of a 64th of its bound: a million frames take no memory each', () => {
    const lag = lagOf(64_000, 10_000, 1)
    lag.shown(999)
    expect(lag.bytes).toBe(10_000)
    lag.shown(1_000)
    expect(lag.bytes).toBe(9_000)
  })
})
