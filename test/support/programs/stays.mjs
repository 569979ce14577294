// Loaded into a command that waits for what never comes: says so on standard error once it has waited. That a process
// does not end is seen only after some time, hence the timer; it holds nothing, so that it fires only in a process
// that something else keeps.
setTimeout(() => process.stderr.write('it stays\n'), 300).unref()
