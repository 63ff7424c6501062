function love.conf(t)
  t.identity, t.version = "cornu-hunters", "11.4"
  t.window.title, t.window.width, t.window.height = "Horned Moon", 960, 600
  t.window.msaa = 4
  for _, name in ipairs { "physics", "joystick", "audio", "sound", "video" } do t.modules[name] = false end
  for _, word in ipairs(arg or {}) do
    if word == "--frames" then t.window.vsync = 0 end
  end
end
