function love.conf(t)
  t.identity, t.version = "cornu-hunters", "11.4"
  t.window.title, t.window.width, t.window.height = "Horned Moon", 960, 600
  t.window.msaa = 4
  t.modules.physics, t.modules.joystick, t.modules.audio, t.modules.sound, t.modules.video = false, false, false, false, false
  for _, word in ipairs(arg or {}) do
    if word == "--frames" then t.window.vsync = 0 end
  end
end
