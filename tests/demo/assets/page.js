// How long the answer to this page took, as the browser saw it, and whether it was rendered for this visit: varve sends
// Server-Timing with renders only.
addEventListener('load', () => {
  const [visit] = performance.getEntriesByType('navigation')
  const line = document.getElementById('answered')
  if (!visit || !line) return
  const rendered = (visit.serverTiming ?? []).some((entry) => entry.name === 'render')
  const ms = Math.max(1, Math.round(visit.responseStart - visit.requestStart))
  line.textContent = `${line.dataset.words} ${ms} ms · ${rendered ? 'rendered now' : 'from the cache'}`
  line.className = rendered ? 'rendered' : 'cached'
  line.hidden = false
})
