/** The scripts about schedules that are made while the program runs: each gives a job to its queue. */
import { setTimeout as wait } from 'node:timers/promises'

/** So far apart that a host that is busy removes the schedule before its second time. */
const soon = '*/4 * * * * *'
const yearly = '0 0 1 1 *'

/** Waits for the first job of a schedule, and removes it. */
const once = async (host) => {
  await host.reached(1)
  await host.unschedule('tick')
  await host.idle()
}

/** Scripts as those of `scripts.mjs`. */
export const schedules = [
  {
    title: 'a schedule that is removed gives no more jobs, in the next life neither',
    lives: [
      async (host) => {
        await host.schedule('tick', soon, 'a')
        host.note('before', await host.scheduled('tick'))
        await once(host)
        host.note('after', await host.scheduled('tick'))
      },
      () => wait(4_500),
    ],
  },
  {
    title:
      'a schedule that is changed gives its new job by its new pattern, and none of the old one',
    lives: [
      async (host) => {
        await host.schedule('tick', yearly, 'old')
        await host.schedule('tick', soon, 'new')
        host.note('pattern', await host.scheduled('tick'))
        await once(host)
      },
    ],
  },
  {
    title: 'a schedule that is made twice gives one job at a time',
    lives: [
      async (host) => {
        await host.schedule('tick', soon, 'a')
        await host.schedule('tick', soon, 'a')
        await once(host)
      },
    ],
  },
  {
    title: 'a schedule is there in the next life, where it is changed',
    lives: [
      (host) => host.schedule('tick', yearly, 'a'),
      async (host) => {
        host.note('pattern', await host.scheduled('tick'))
        await host.schedule('tick', soon, 'b')
        await once(host)
      },
    ],
  },
  {
    title: 'a schedule is triggered before its time',
    lives: [
      async (host) => {
        await host.schedule('tick', yearly, 'a')
        await host.trigger('tick')
        await host.reached(1)
        host.note('pattern', await host.scheduled('tick'))
        await host.unschedule('tick')
        await host.idle()
      },
    ],
  },
  {
    title: 'a schedule that is not there is removed',
    lives: [
      async (host) => {
        host.note('removed', await host.unschedule('none'))
      },
    ],
  },
  {
    title: 'a schedule is paused over two of its times',
    lives: [
      async (host) => {
        await host.schedule('tick', soon, 'a')
        await host.pauseSchedule('tick')
        await wait(8_500)
        await host.unschedule('tick')
        await host.resume()
        await host.idle()
      },
    ],
    differs: {
      why: 'A schedule is paused by itself, and gives no job for the times of the pause. In BullMQ its queue is paused, and one job waits there.',
      keelson: { runs: {} },
    },
  },
]
