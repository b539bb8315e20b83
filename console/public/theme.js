// Sets the colour scheme before the first paint. A file of its own, because the content security policy allows no inline script.
(function () {
  var scheme = 'auto';
  try {
    scheme = localStorage.getItem('slipway-color-scheme') || 'auto';
  } catch {
    // Storage is off: the system's scheme it is.
  }
  var isDark = scheme === 'dark' || (scheme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.setAttribute('data-mantine-color-scheme', isDark ? 'dark' : 'light');
})();
