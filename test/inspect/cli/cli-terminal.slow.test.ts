/** `keelson start` on a real terminal: what a person types outlives Ctrl-Z and the log. */
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, test } from 'vitest'
import { startOnTerminal, stoppedMark } from '../../support/commands/keelson-command.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const noScript =
  process.platform === 'linux' ? undefined : 'a terminal needs the `script` of util-linux'

describe.skipIf(lacks(noScript))('a prompt on a terminal (needs the build)', () => {
  test('answers, and ends at Ctrl-D, after Ctrl-Z and fg', async () => {
    const prompt = startOnTerminal(['start'], tempFolder())
    await prompt.says('keelson> ')
    await prompt.write('40 + 2\r')
    await prompt.says('42')

    await prompt.write('\x1a')
    await prompt.says(new RegExp(`${stoppedMark}.*keelson> `, 's'))
    await prompt.write('50 + 5\r')
    await prompt.says('55')
    await prompt.write('\x04')

    expect((await prompt.ended).status).toBe(0)
  })

  test('shows the log above the line that is being typed, with time and level', async () => {
    const prompt = startOnTerminal(['start'], tempFolder())
    await prompt.says('keelson> ')
    await prompt.write("process.once('SIGUSR2', () => app.system.kill('registry')); 'listening'\r")
    await prompt.says("'listening'")
    await prompt.write('"pid " + process.pid\r')
    await prompt.says("'pid ")
    await prompt.write('4000 + ')
    await prompt.says('4000 + ')

    const pid = Number(/'pid (\d+)'/.exec(stripVTControlCharacters(prompt.printed()))?.[1])
    process.kill(pid, 'SIGUSR2')
    await prompt.says('registry was restarted')
    await prompt.write('444\r')
    await prompt.says('4444')
    await prompt.write('\x04')

    const { status, output } = await prompt.ended
    expect(status).toBe(0)
    expect(stripVTControlCharacters(output).replaceAll('\r', '')).toMatch(
      /4000 \+ .*\d{4}-\d\d-\d\dT[\d:.]+Z warn {2}keelson: registry was restarted: killed\nkeelson> 4000 \+ /s,
    )
  })
})
