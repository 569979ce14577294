/** The night of a sale, with real processes: `kill -9`, dead storage actors, a disk that is full. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import { noFlock } from '../../test/support/harm/folder-locks.ts'
import { noSmallDisk, smallDisk } from '../../test/support/harm/small-disk.ts'
import { lacks } from '../../test/support/lacks.ts'
import { tempFolder } from '../../test/support/temp-folder.ts'
import { thorough } from '../../test/support/tier.ts'
import { rush } from './rush.ts'

if (noSmallDisk) console.log(`the disk of the night is never full: ${noSmallDisk}`)

const kills = thorough(3, 10)

test(`200 clients, ${kills} kills and a full disk: no seat is sold twice, nobody is charged twice, every accepted order ends`, async () => {
  const disk = noSmallDisk ? undefined : smallDisk('256m')
  const { accepted, sold, faults } = await rush({
    dir: `${disk ?? tempFolder()}/shop`,
    clients: 200,
    shows: 20,
    kills,
    killEveryMs: 3_000,
    ...(disk && { smallDisk: disk, fullMs: kills * 1_000 }),
    random: seededRandom(7),
  })
  expect(faults).toEqual([])
  expect(accepted).toBeGreaterThan(100 * kills)
  expect(sold).toBeGreaterThan(10 * kills)
})

test.skipIf(lacks(noFlock))(
  '20 clients at four members on one folder, a member killed again and again, and a restart of all in the middle: the same holds',
  async () => {
    const { accepted, sold, faults } = await rush({
      ...{ dir: `${tempFolder()}/shop`, clients: 20, shows: 5, members: 4 },
      ...{ kills: 5, killEveryMs: 4_000, random: seededRandom(7) },
    })
    expect(faults).toEqual([])
    expect(accepted).toBeGreaterThan(100)
    expect(sold).toBeGreaterThan(20)
  },
)
