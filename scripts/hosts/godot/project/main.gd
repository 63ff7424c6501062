# Predicts digits, and steps a policy with a state for each agent through some frames; prints what came out.
extends Node

const AGENTS = 3
const FRAMES = 5

var frame = 0

# Numbers that scripts/hosts/godot/check.lua makes, too.
func numbers(count, seed_number):
	var out = PoolRealArray()
	for i in count:
		out.append(((i * 7 + seed_number * 13) % 17) / 16.0)
	return out

func tell(what, values):
	var words = PoolStringArray()
	for v in values:
		words.append("%.6f" % v)
	print(what, " ", words.join(" "))

# A file of the game as it is, or of its package.
func bytes(path):
	var file = File.new()
	if file.open(path, File.READ) != OK:
		return PoolByteArray()
	var content = file.get_buffer(file.get_len())
	file.close()
	return content

func _ready():
	if not $Digits.load_bytes(bytes("res://digits.cornu")) \
			or not $Policy.load(ProjectSettings.globalize_path("res://policy.cornu")) or not $Policy.begin(AGENTS):
		get_tree().quit(1)
	tell("digits", $Digits.predict(numbers(2 * 64, 1)))
	print("wrong size: ", $Digits.predict(numbers(63, 1)).size(), " ", $Digits.error())
	print("no bytes: ", $Digits.load_bytes(bytes("res://nothing")), " ", $Digits.error())
	print("no file: ", $Digits.load("nowhere.cornu"), " ", $Digits.error().length() > 0)
	print("kept: ", $Digits.predict(numbers(64, 1)).size())

func _process(_delta):
	frame += 1
	if frame == FRAMES:
		$Policy.reset(1)
	tell("frame %d" % frame, $Policy.step(numbers(AGENTS * 5, frame)))
	if frame == FRAMES:
		var before = OS.get_ticks_usec()
		for i in 1000:
			$Policy.step(numbers(AGENTS * 5, i))
		print("microseconds per step: ", (OS.get_ticks_usec() - before) / 1000.0)
		get_tree().quit()
