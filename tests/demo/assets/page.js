// How long the answer to this page took, as the browser saw it, and whether it was rendered for this visit: varve sends
// Server-Timing with renders only.
addEventListener('load', () => {
  const [visit] = performance.getEntriesByType('navigation')
  const line = document.getElementById('answered')
  if (!visit || !line) return
  const rendered = (visit.serverTiming ?? []).some((entry) => entry.name === 'render')
  const ms = Math.max(1, Math.round(visit.responseStart - visit.requestStart))
  const how = rendered ? 'rendered' : 'cached'
  line.textContent = `${line.dataset.answered} ${ms} ms · ${line.dataset[how]}`
  line.className = how
  line.hidden = false
})
